//! Filters by type: rows I-02 and I-03.

use longshore_spec::{ArtifactType, MediaType, TypeFilter};

use crate::{blob, disguised, image, manifest};

fn filter(items: &str) -> TypeFilter {
    let items: Vec<String> = items.split_whitespace().map(str::to_owned).collect();
    TypeFilter::parse(&items).expect("the items mean something")
}

fn fault(item: &str) -> String {
    TypeFilter::parse(&[item]).expect_err(item).to_string()
}

#[test]
fn filters_admit_what_they_name() {
    let chart = ArtifactType::of(&image("application/vnd.cncf.helm.config.v1+json", "", ""));
    let signature =
        ArtifactType::of(&disguised("application/vnd.dev.cosign.simplesigning.v1+json"));
    let alpine = ArtifactType::of(&disguised(MediaType::LAYER_GZIP));
    let custom = ArtifactType::of(&image("X/Custom; a=b", "", ""));
    let index = ArtifactType::of(&manifest("{'manifests':[]}"));
    let untyped = ArtifactType::of(&image(MediaType::EMPTY, &blob(MediaType::EMPTY, ""), ""));
    let all = [&chart, &signature, &alpine, &custom, &index, &untyped];
    for (items, admitted) in [
        ("", [true; 6]),
        ("any", [true; 6]),
        ("!any", [false; 6]),
        ("chart", [true, false, false, false, false, false]),
        ("Helm-Chart", [true, false, false, false, false, false]),
        ("chart SIGNATURE", [true, true, false, false, false, false]),
        ("image", [false, false, true, false, false, false]),
        ("!image", [true, true, false, true, true, true]),
        ("any !cosign-signature", [true, false, true, true, true, true]),
        ("chart !helm-chart", [false; 6]),
        ("index", [false, false, false, false, true, false]),
        ("untyped", [false, false, false, false, false, true]),
        ("x/custom", [false, false, false, true, false, false]),
        // A media type is compared with what is declared, whatever it turned out to be.
        (MediaType::IMAGE_CONFIG, [false, true, true, false, false, false]),
        ("!x/custom !index", [true, true, true, false, false, true]),
    ] {
        assert_eq!(
            all.map(|artifact_type| filter(items).admits(artifact_type)),
            admitted,
            "{items:?}"
        );
    }
    assert!(filter("!image").excludes(&alpine) && !filter("!image").excludes(&chart));
    assert!(!filter("chart").excludes(&alpine), "what is not included is not excluded");
    assert_eq!(TypeFilter::default(), filter(""));
    assert_eq!(TypeFilter::parse(&["! chart"]), Ok(filter("!chart")));
}

#[test]
fn words_nobody_knows_get_a_hint() {
    for (item, message) in [
        ("chrat", "`chrat` is not an artifact type; did you mean `chart`?"),
        ("helm", "`helm` is not an artifact type; did you mean `helm-chart` or `helm-plugin`?"),
        ("!sigs", "`sigs` is not an artifact type; did you mean"),
        ("charts", "`charts` is not an artifact type; did you mean `chart`"),
        ("cosign-sig", "`cosign-sig` is not an artifact type; did you mean"),
        ("", "`` is not an artifact type; write a family such as `image`"),
        ("!", "`` is not an artifact type; write a family such as `image`"),
        ("qqqqqqqq", "`qqqqqqqq` is not an artifact type; write a family such as `image`"),
    ] {
        assert!(fault(item).starts_with(message), "{}", fault(item));
    }
}

#[test]
fn its_items_are_read_as_the_same_filter() {
    let items = ["!image", "Chart", "application/spdx+json", "any", "helm-chart", "chart"];
    let filter = TypeFilter::parse(&items).unwrap();
    let said = filter.items();
    assert_eq!(said, ["!image", "any", "application/spdx+json", "chart", "helm-chart"]);
    assert_eq!(TypeFilter::parse(&said).unwrap().items(), said);
    assert!(TypeFilter::default().items().is_empty());
}
