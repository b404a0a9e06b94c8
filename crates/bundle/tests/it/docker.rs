//! `manifest.json` for Docker.

use longshore_bundle::{
    Choice, Difference, DockerManifest, DockerManifestError, Item, Obstacle, Record, Selection,
};
use longshore_fixture::{Content, artifacts};
use longshore_layout::Directory;
use longshore_spec::{Descriptor, Digest, Platform};
use longshore_store::Name;
use longshore_sync::{CopyItem, Filter, Plan, RootRequest, SealedPlan};
use serde_json::{Value, json};

/// Artifacts under their names, as an export has found them.
struct Wares {
    _directory: tempfile::TempDir,
    layout: Directory,
    named: Vec<(Descriptor, String)>,
}

impl Wares {
    fn new(fill: impl FnOnce(&mut Content) -> Vec<(Descriptor, &'static str)>) -> Self {
        let mut content = Content::new();
        let named = fill(&mut content);
        let named: Vec<_> = named.into_iter().map(|(root, name)| (root, name.to_owned())).collect();
        for (root, name) in &named {
            content.tag(root, name);
        }
        let directory = tempfile::tempdir().unwrap();
        content.write_directory(directory.path()).unwrap();
        let layout = Directory::open(directory.path()).unwrap();
        Self { _directory: directory, layout, named }
    }

    /// Gives `look` the plan that takes everything in this order.
    fn planned<T>(&self, turned: bool, look: impl FnOnce(&SealedPlan<'_>) -> T) -> T {
        let view = self.layout.whole();
        let wanted = |(root, name): &(Descriptor, String)| CopyItem {
            source: &view,
            request: RootRequest::Listed(root.clone()),
            target: None,
            names: vec![Name::from(name.as_str())],
            filter: None,
        };
        let mut wanted: Vec<_> = self.named.iter().map(wanted).collect();
        if turned {
            wanted.reverse();
        }
        let plan = Plan::discover(wanted, &Filter::default(), 2).seal();
        assert!(plan.failures().is_empty());
        look(&plan)
    }

    fn docker(&self, platform: &str) -> Result<DockerManifest, DockerManifestError> {
        let platform: Option<Platform> = (!platform.is_empty()).then(|| platform.parse().unwrap());
        self.planned(false, |plan| DockerManifest::of(plan, platform.as_ref(), 2))
    }
}

fn images(docker: &DockerManifest) -> Value {
    serde_json::from_slice(&docker.file().content).unwrap()
}

#[test]
fn it_names_one_platform_of_each_image_as_docker_does() {
    let wares = Wares::new(|content| {
        let app = artifacts::multi_platform(content, 1);
        let same = artifacts::image(content, 1);
        let chart = artifacts::helm_chart(content, 1);
        vec![
            (app.clone(), "docker.io/library/alpine:3.20"),
            (app, "quay.io/team/alpine:1"),
            (same, "docker.io/team/app:1"),
            (chart, "quay.io/charts/shop:1"),
        ]
    });
    let docker = wares.docker("linux/amd64").unwrap();
    let images = images(&docker);
    // The image is the same as the entry of the index, so that it stands there once.
    assert_eq!(
        images[0]["RepoTags"],
        json!(["alpine:3.20", "quay.io/team/alpine:1", "team/app:1"])
    );
    assert_eq!(images.as_array().unwrap().len(), 1);
    assert!(images[0]["Config"].as_str().unwrap().starts_with("blobs/sha256/"));
    assert!(!images[0]["Layers"].as_array().unwrap().is_empty());
    let skipped: Vec<_> =
        docker.skipped().iter().map(|it| (it.reference.as_str(), it.why)).collect();
    assert_eq!(skipped, [("quay.io/charts/shop:1", Obstacle::NotAnImage)]);
    // Each of its paths is one of the layout.
    let mut paths = vec![&images[0]["Config"]];
    paths.extend(images[0]["Layers"].as_array().unwrap());
    for path in paths {
        assert!(wares.layout.path().join(path.as_str().unwrap()).is_file(), "{path}");
    }
    let turned = wares.planned(true, |plan| {
        DockerManifest::of(plan, Some(&"linux/amd64".parse().unwrap()), 2).unwrap()
    });
    assert_eq!(turned.file(), docker.file());
}

#[test]
fn the_platform_follows_from_the_bundle_and_never_from_the_machine() {
    let several =
        Wares::new(|content| vec![(artifacts::multi_platform(content, 1), "quay.io/team/app:1")]);
    let Err(DockerManifestError::SeveralPlatforms(platforms)) = several.docker("") else {
        panic!("nobody said which")
    };
    assert_eq!(platforms[0], "linux/amd64");
    let arm = several.docker("linux/arm64").unwrap();
    assert_eq!(arm.platform(), Some("linux/arm64"));
    assert_ne!(images(&arm), images(&several.docker("linux/amd64").unwrap()));
    let none = several.docker("linux/s390x").unwrap_err();
    assert!(none.to_string().contains("no image for linux/s390x"), "{none}");
    // One that no index lists says in its config what it is for.
    let one = Wares::new(|content| vec![(artifacts::image(content, 1), "quay.io/team/app:1")]);
    assert_eq!(one.docker("").unwrap().platform(), Some("linux/amd64"));
    assert!(matches!(one.docker("linux/arm64"), Err(DockerManifestError::Empty(_))));
    let two = Wares::new(|content| {
        let arm = artifacts::image_for(content, 1, &artifacts::platform("linux/arm64")).manifest;
        vec![(arm, "quay.io/team/arm:1"), (artifacts::image(content, 1), "quay.io/team/app:1")]
    });
    assert!(matches!(two.docker(""), Err(DockerManifestError::SeveralPlatforms(_))));
    assert_eq!(two.docker("linux/arm64").unwrap().skipped().len(), 1);
}

#[test]
fn what_docker_cannot_take_is_named_with_the_reason() {
    let wares = Wares::new(|content| {
        let app = artifacts::multi_platform(content, 1);
        let other = artifacts::image(content, 2);
        vec![
            (app.clone(), "quay.io/team/app:1"),
            (
                app.clone(),
                "quay.io/team/app@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            ),
            (other, "quay.io/team/other:1"),
        ]
    });
    let skipped = |platform: &str| {
        let docker = wares.docker(platform).unwrap();
        docker.skipped().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(skipped("linux/amd64").len(), 1);
    assert!(skipped("linux/amd64")[0].ends_with("it has no tag"));
    let of_arm = skipped("linux/arm64");
    assert_eq!(of_arm.len(), 2);
    assert_eq!(of_arm[1], "quay.io/team/other:1: it is not there for the platform");
}

#[test]
fn a_record_knows_its_bytes() {
    let wares = Wares::new(|content| vec![(artifacts::image(content, 1), "quay.io/team/app:1")]);
    let docker = wares.docker("linux/amd64").unwrap();
    let item = Item::new(Choice::Reference("quay.io/team/app:1".parse().unwrap()), 1);
    let selection = Selection { name: None, items: vec![item] };
    let plain = wares.planned(false, |plan| Record::of(plan, &selection, &[]));
    let mut record = plain.clone();
    record.docker_manifest = Some(docker.recorded());
    assert_ne!(record.id(), plain.id());
    assert_eq!(Record::parse(&record.to_bytes()), Ok(record.clone()));
    let content = docker.file().content;
    assert_eq!(record.docker_difference(Some(&content)), None);
    for other in [None, Some(&b"[]"[..])] {
        assert_eq!(record.docker_difference(other), Some(Difference::OtherDockerManifest));
        assert_eq!(plain.docker_difference(other), None, "what it does not know");
    }
    assert_eq!(record.docker_manifest.unwrap().digest, Digest::sha256(&content));
}
