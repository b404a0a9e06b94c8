//! Plans of many nodes.

use std::time::Instant;

use bytes::Bytes;
use longshore_fixture::{Content, Draft};
use longshore_spec::{Descriptor, MediaType};
use longshore_store::Order;
use longshore_sync::{Filter, Outcome, Plan, Silent};

use crate::support::{Fault, Shelf, Watched, copy};

/// Makes images of as many layers each, in which no layer comes twice.
fn images(count: usize, layers: usize) -> Content {
    let mut content = Content::new();
    let config = content.empty();
    for image in 0..count {
        let layers: Vec<Descriptor> = (0..layers)
            .map(|layer| {
                let text = format!("{image} {layer}");
                content.blob(MediaType::LAYER_TAR, Bytes::from(text))
            })
            .collect();
        let image_of =
            content.manifest(&Draft::image(&config, &layers).annotation("n", &image.to_string()));
        content.tag(&image_of, &format!("image-{image}"));
    }
    content
}

/// A bound that only something quadratic passes, on whatever machine.
const SECONDS: u64 = 60;

#[test]
fn fifty_thousand_blobs_take_seconds() {
    let source = Shelf::new(images(500, 100));
    let target = Watched::new(Order::LargestFirst);
    let before = resident();
    let begun = Instant::now();
    let plan = Plan::discover(source.wanted(Some(&target)), &Filter::default(), 4).seal();
    let discovered = begun.elapsed();
    let nodes = plan.size().nodes;
    assert_eq!(nodes, 50_000 + 500 + 1);
    if let (Some(before), Some(after)) = (before, resident()) {
        eprintln!("a plan takes {} bytes a node", after.saturating_sub(before) / nodes);
    }
    let copying = Instant::now();
    let report = plan.execute(&target, 4, &Silent).unwrap();
    assert!(report.is_complete());
    assert_eq!(report.moved, nodes);
    eprintln!("discovered in {discovered:?}, copied in {:?}", copying.elapsed());
    assert!(begun.elapsed().as_secs() < SECONDS);
}

#[test]
fn ten_thousand_roots_take_seconds() {
    let source = Shelf::new(images(1, 2));
    let root = source.wanted(None).remove(0);
    let targets: Vec<_> = (0..10_000).map(|_| Watched::new(Order::LargestFirst)).collect();
    let wanted = |target| longshore_sync::CopyItem { target: Some(target), ..root.clone() };
    let begun = Instant::now();
    let wanted = targets.iter().map(|target| wanted(target as &dyn longshore_store::Target));
    let plan = Plan::discover(wanted.collect(), &Filter::default(), 4).seal();
    let report = plan.execute(&targets[0], 4, &Silent).unwrap();
    assert!(report.is_complete());
    assert_eq!(report.moved, 40_000);
    assert!(begun.elapsed().as_secs() < SECONDS);
}

#[test]
fn ten_thousand_failures_take_seconds() {
    let mut source = Shelf::new(images(100, 100));
    for digest in source.content.blobs.keys().cloned().collect::<Vec<_>>() {
        if longshore_spec::Manifest::media_type_of(&source.content.blobs[&digest]).is_err() {
            source = source.with_fault(&digest, Fault::Gone);
        }
    }
    let begun = Instant::now();
    let plan = Plan::discover(source.wanted(None), &Filter::default(), 4).seal();
    let report = plan.verify(4, &Silent);
    assert_eq!(report.failures.len(), 10_001);
    assert!(report.roots.iter().all(|root| root.outcome == Outcome::Failed));
    let target = Watched::new(Order::LargestFirst);
    let report = copy(&source, &target, &Filter::default(), 4);
    assert_eq!(report.failures.len(), 10_001);
    assert!(begun.elapsed().as_secs() < SECONDS);
}

/// Returns how many bytes of memory this process has, where the system tells.
fn resident() -> Option<u64> {
    const PAGE: u64 = 4096;
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    text.split(' ').nth(1)?.parse::<u64>().ok().map(|pages| pages * PAGE)
}
