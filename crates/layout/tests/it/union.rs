//! Several layouts, read as one.

use std::sync::Arc;

use longshore_fixture::{Content, artifacts, blob_path};
use longshore_layout::{Directory, Layout, LayoutUnion};
use longshore_spec::MediaType;
use longshore_store::{Error, Root, Selector, Source as _, SourcePlace as _};

#[test]
fn content_lies_in_any_of_them_and_names_are_those_that_are_given() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let mut content = Content::new();
    let image = artifacts::image(&mut content, 1);
    content.tag(&image, "a.io/app:1");
    content.write_directory(&path("one")).unwrap();
    let one = Directory::open(path("one")).unwrap();
    let manifest = one.whole().child(&image).unwrap();
    let layer = manifest.children().last().unwrap().1.clone();
    // What is cut off in one is whole in the other.
    std::fs::write(path("one").join(blob_path(&layer.digest)), b"cut").unwrap();
    let mut other = Content::new();
    other.blob(MediaType::LAYER_TAR, content.blobs[&layer.digest].clone());
    other.write_directory(&path("other")).unwrap();
    let other = Directory::open(path("other")).unwrap();
    let root = Root { descriptor: image.clone(), names: vec!["b.io/team/app:2".into()] };
    let others: Vec<Arc<dyn Layout>> = vec![Arc::new(other)];
    let union = LayoutUnion::new("both", vec![root], Arc::new(&one), others);
    assert_eq!(union.blob_size(&layer.digest).unwrap(), Some(layer.size));
    assert_eq!(union.blob_digests().unwrap().len(), content.blobs.len());
    assert!(!union.is_written_once());
    assert_eq!(union.whole().names().unwrap(), ["b.io/team/app:2".into()]);
    assert_eq!(union.repositories().unwrap(), ["b.io/team/app".parse().unwrap()]);
    let repository = union.source(&"b.io/team/app".parse().unwrap()).unwrap();
    assert_eq!(repository.head(&Selector::Name("2".into())).unwrap().digest, image.digest);
    assert!(repository.has_content(&layer).unwrap());
    // Another repository has nothing of it.
    let elsewhere = union.source(&"b.io/other".parse().unwrap()).unwrap();
    assert!(matches!(elsewhere.blob(&layer.digest), Err(Error::NotFound { .. })));
}
