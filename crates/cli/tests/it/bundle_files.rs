//! Files in which people write what they want.

use crate::common::Site;

#[test]
fn images_are_found_in_what_kubernetes_is_given() {
    let site = Site::new();
    std::fs::create_dir(site.path("manifests")).unwrap();
    site.file(
        "manifests/web.yaml",
        "kind: Pod\nmetadata: { name: web }\nspec: { containers: [{ image: nginx }] }\n---\n\
         kind: Pod\nmetadata: { name: db }\nspec: { containers: [{ image: 'postgres:16' }] }\n",
    );
    site.file("manifests/more.json", r#"{ "image": "quay.io/acme/app:1" }"#);
    site.file("manifests/README.md", "image: no");
    site.file("chart.yaml", "image: {{ .Values.image }}\n");
    insta::assert_snapshot!(site.shown(&["find-images manifests"]), @"
    $ longshore find-images manifests
    docker.io/library/nginx:latest
    docker.io/library/postgres:16
    quay.io/acme/app:1
    ");
    insta::assert_snapshot!(
        site.errors(&["find-images chart.yaml", "find-images absent.yaml", "find-images"]),
        @r"
    $ longshore find-images chart.yaml
    error: chart.yaml:1:9: a text is expected here
      hint: give it Kubernetes manifests; render a chart with `helm template` first
    [exit 2]

    $ longshore find-images absent.yaml
    error: cannot read absent.yaml: no such file or directory
      hint: check the path: it, or a directory in it, does not exist
    [exit 2]

    $ longshore find-images
    error: `FILE` is missing
      hint: write `longshore find-images <FILE>...`; `--help` says more
    [exit 2]
    "
    );
}
