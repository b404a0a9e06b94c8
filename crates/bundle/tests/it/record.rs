//! `bundle.json`.

use std::sync::Arc;

use longshore_bundle::{
    Choice, Difference, Item, LeftBehind, RECORD, Record, RecordError, Selection, SparseIndex, Why,
};
use longshore_fixture::{Content, artifacts};
use longshore_layout::Directory;
use longshore_spec::artifact_type::TypeFilter;
use longshore_spec::{Digest, MediaType, Role};
use longshore_store::{Name, Root, Selector, Source as _};
use longshore_sync::{CopyItem, Filter, Plan, Referring, RootRequest, SealedPlan};

const APP: &str = "registry.site/team/app:v1";

/// A layout with an index of four platforms that has a list of parts, which is signed.
struct Site {
    _directory: tempfile::TempDir,
    layout: Directory,
}

impl Site {
    fn new() -> Self {
        let mut content = Content::new();
        let app = artifacts::multi_platform(&mut content, 1);
        content.tag(&app, APP);
        let sbom = artifacts::spdx(&mut content, &app, 1);
        content.untagged(&sbom);
        let signature = artifacts::notation_signature(&mut content, &sbom, 1);
        content.untagged(&signature);
        let directory = tempfile::tempdir().unwrap();
        content.write_directory(directory.path()).unwrap();
        let layout = Directory::open(directory.path()).unwrap();
        Self { _directory: directory, layout }
    }

    /// Returns the record of what is wanted, and all that there is of it.
    fn record(&self, item: &Item) -> (Record, Vec<Root>, SealedPlan<'static>) {
        let view: &'static _ = Box::leak(Box::new(Directory::open(self.layout.path()).unwrap()));
        let view: &'static _ = Box::leak(Box::new(view.whole()));
        let wanted = CopyItem {
            source: view,
            request: RootRequest::Selector(Selector::Name(Name::from(APP))),
            target: None,
            names: vec![Name::from(APP)],
            filter: Some(Arc::new(item.filter())),
        };
        let plan = Plan::discover(vec![wanted], &Filter::default(), 2).seal();
        assert!(plan.failures().is_empty());
        let record = Record::of(&plan, &Selection { items: vec![item.clone()] }, &[]);
        (record, view.roots().unwrap(), plan)
    }
}

fn item() -> Item {
    Item::new(Choice::Reference(APP.parse().unwrap()), 1)
}

#[test]
fn it_says_what_is_there_and_why_and_what_is_not() {
    let site = Site::new();
    let mut item = item();
    item.platforms = vec!["linux/amd64".parse().unwrap(), "linux/arm64".parse().unwrap()];
    let (record, ..) = site.record(&item);
    let root = &record.roots[0];
    assert_eq!((root.reference.as_str(), root.artifact_type.as_str()), (APP, "index"));
    assert_eq!(root.platforms, ["linux/amd64", "linux/arm64"]);
    assert_eq!(root.referrers.len(), 2, "the signature of the list of parts counts");
    assert_eq!(record.referrers.len(), 2);
    assert_eq!(record.left_out.len(), 2);
    assert!(record.left_out.iter().all(|left| left.why == Why::Platform));
    assert_eq!(
        record.selection.as_str(),
        format!(
            r#"[{{"platforms":["linux/amd64","linux/arm64"],"ref":"{APP}","referrers":"all"}}]"#
        )
    );
}

#[test]
fn it_is_canonical_and_its_id_holds_it() {
    let mut item = item();
    item.platforms = vec!["linux/amd64".parse().unwrap(), "linux/arm64".parse().unwrap()];
    let (record, ..) = Site::new().record(&item);
    let bytes = record.to_bytes();
    assert_eq!(record.file().name, RECORD);
    assert_eq!(Record::parse(&bytes), Ok(record.clone()));
    let text = String::from_utf8(bytes).unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value.to_string(), text, "members are sorted, without white space");
    let id = format!(r#""id":"{}","#, record.id());
    assert!(text.contains(&id), "{text}");
    assert_eq!(Digest::sha256(text.replace(&id, "")), record.id());
    // What is not known counts for the id, and is no reason to refuse.
    let more = text.replace(&id, "").replacen('{', r#"{"aNewMember":[1],"#, 1);
    let its = Digest::sha256(&more);
    let more = more.replacen(r#""formatVersion""#, &format!(r#""id":"{its}","formatVersion""#), 1);
    let read = Record::parse(more.as_bytes()).unwrap();
    assert_eq!(read.id(), its);
    assert_eq!(read, record);
}

#[test]
fn what_others_write_in_another_order_is_read_and_kept() {
    let text = r#"{"blobs":[],"formatVersion":1,"leftOut":[],"referrers":[],"roots":[],"selection":[{"ref":"a","from":"b"}]}"#;
    let id = Digest::sha256(text);
    let text = text.replacen(r#""leftOut""#, &format!(r#""id":"{id}","leftOut""#), 1);
    let read = Record::parse(text.as_bytes()).unwrap();
    assert_eq!(read.id(), id);
    assert_eq!(String::from_utf8(read.to_bytes()).unwrap(), text);
}

#[test]
fn what_is_no_record_of_this_version_is_refused() {
    let (record, ..) = Site::new().record(&item());
    let text = String::from_utf8(record.to_bytes()).unwrap();
    let parse = |text: &str| Record::parse(text.as_bytes()).unwrap_err();
    let newer = text.replace(r#""formatVersion":1"#, r#""formatVersion":3"#);
    assert_eq!(parse(&newer), RecordError::Newer(3));
    let changed = text.replacen("\"size\":", "\"size\":1", 1);
    assert!(matches!(parse(&changed), RecordError::Changed { .. }));
    for malformed in ["", "[]", "{}", r#"{"formatVersion":"1"}"#, &text[..text.len() - 1]] {
        assert!(matches!(parse(malformed), RecordError::Malformed(_)), "{malformed}");
    }
}

#[test]
fn what_repairs_another_bundle_says_nothing_of_itself() {
    let site = Site::new();
    let (whole, ..) = site.record(&item());
    let id = whole.id();
    let record = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut value = serde_json::json!({
            "blobs": [], "formatVersion": 2, "leftOut": [], "referrers": [], "repairs": id,
            "roots": [], "selection": [],
        });
        change(&mut value);
        let digest = Digest::sha256(value.to_string());
        value["id"] = digest.to_string().into();
        Record::parse(value.to_string().as_bytes())
    };
    let read = record(&|_| {}).unwrap();
    assert_eq!(read.repairs, Some(whole.id()));
    assert_eq!(Record::parse(&read.to_bytes()).unwrap(), read);
    let root = serde_json::to_value(&whole.roots[0]).unwrap();
    let base = serde_json::json!({ "blobs": [], "ids": [] });
    for (key, value) in [
        ("formatVersion", 1.into()),
        ("base", base),
        ("roots", vec![root].into()),
        ("repairs", "sha256:1".into()),
        ("repairs", serde_json::Value::Null),
    ] {
        let refused = record(&|record| record[key] = value.clone());
        assert!(matches!(refused, Err(RecordError::Malformed(_))), "{key}: {refused:?}");
    }
}

#[test]
fn one_that_lies_is_found_out() {
    let site = Site::new();
    let (record, roots, plan) = site.record(&item());
    let outline = plan.outline();
    assert_eq!(record.differences(&roots, &outline, &[]), []);
    let lied = |lie: &dyn Fn(&mut Record)| {
        let mut record = record.clone();
        lie(&mut record);
        // Whoever lies can compute an id.
        let record = Record::parse(&record.to_bytes()).unwrap();
        record.differences(&roots, &outline, &[])
    };
    let other = Digest::sha256("other");
    let of_size = lied(&|record| record.blobs[3].size += 1);
    assert!(matches!(of_size[..], [Difference::OtherSize { .. }]), "{of_size:?}");
    let of_role = lied(&|record| record.blobs[3].role = Role::Layer);
    assert!(matches!(of_role[..], [Difference::OtherRole { .. }]), "{of_role:?}");
    let of_digest = lied(&|record| record.blobs[3].digest = other.clone());
    assert!(
        matches!(&of_digest[..], [Difference::NotNeeded(digest), Difference::NotRecorded(_)] if *digest == other),
        "{of_digest:?}"
    );
    let of_root = lied(&|record| record.roots[0].digest = other.clone());
    assert!(matches!(of_root[..], [Difference::OtherRoot { .. }]), "{of_root:?}");
    let of_name = lied(&|record| record.roots[0].reference.push('2'));
    assert!(
        matches!(of_name[..], [Difference::NoRoot { .. }, Difference::UnknownRoot { .. }]),
        "{of_name:?}"
    );
    assert!(matches!(lied(&|record| drop(record.blobs.pop()))[..], [Difference::NotRecorded(_)]));
    let of_role = lied(&|record| record.blobs[0].role = Role::Layer);
    assert!(matches!(of_role[..], [Difference::OtherRole { .. }]), "{of_role:?}");
    let of_type = lied(&|record| record.roots[0].media_type = MediaType::IMAGE_MANIFEST.into());
    assert!(matches!(of_type[..], [Difference::OtherType { .. }]), "{of_type:?}");
    let absent = [Difference::NotNeeded(other.clone())];
    assert_eq!(lied(&|record| record.roots[0].referrers.push(other.clone())), absent);
    assert_eq!(lied(&|record| record.referrers[0].digest = other.clone()), absent);
}

#[test]
fn an_index_that_is_written_anew_is_said_to_be() {
    let site = Site::new();
    let mut item = item();
    item.sparse_index = SparseIndex::Strip;
    let (whole, ..) = site.record(&item);
    assert!(whole.selection.as_str().contains("sparseIndex"), "the source may lack some");
    item.platforms = vec!["linux/amd64".parse().unwrap(), "linux/arm64".parse().unwrap()];
    let (stripped, ..) = site.record(&item);
    assert!(stripped.selection.as_str().contains(r#""sparseIndex":"strip""#));
    assert_ne!(stripped.roots[0].digest, whole.roots[0].digest);
}

#[test]
fn types_and_referrers_that_are_not_asked_for_are_named() {
    let site = Site::new();
    let mut item = item();
    item.referrers = Referring::Taken(TypeFilter::parse(&["signature"]).unwrap());
    let (record, ..) = site.record(&item);
    assert_eq!((record.referrers.len(), record.left_out.len()), (0, 1));
    assert_eq!(record.left_out[0].why, Why::Type);
    item.referrers = Referring::Ignored;
    let (record, ..) = site.record(&item);
    assert_eq!((record.referrers.len(), record.left_out.len()), (0, 0));
}

#[test]
fn what_is_written_in_one_stays_on_one_line() {
    let (mut record, roots, plan) = Site::new().record(&item());
    record.roots[0].reference = "a\neverything is there".to_owned();
    let differences = record.differences(&roots, &plan.outline(), &[]);
    assert!(differences.len() > 1);
    assert!(differences.iter().all(|it| !it.to_string().contains('\n')), "{differences:?}");
    let left = LeftBehind::failed(Some("a\nb".to_owned()), None);
    assert_eq!(left.to_string(), "a\\nb: could not be had");
}
