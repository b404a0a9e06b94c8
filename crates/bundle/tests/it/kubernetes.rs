//! The images that Kubernetes manifests name.

use longshore_bundle::{Found, find_images};

#[test]
fn every_image_is_found_with_what_names_it() {
    let text = r"
# Source: shop/templates/deployment.yaml
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  template:
    spec:
      initContainers:
        - { name: init, image: busybox }
      containers:
        - name: web
          image: 'nginx:1.25'
          env:
            - { name: RELATED_IMAGE_PROXY, value: quay.io/acme/proxy:2 }
            - { name: OTHER, value: quay.io/acme/other:2 }
      volumes:
        - name: model
          image: { reference: quay.io/acme/model:1, pullPolicy: Always }
---
---
apiVersion: v1
kind: List
items:
  - kind: CronJob
    metadata: { name: backup }
    spec: { jobTemplate: { spec: { template: { spec: { containers: [ { image: ghcr.io/acme/backup@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 } ] } } } } }
---
kind: Prometheus
metadata: { name: main }
spec: { image: quay.io/prometheus/prometheus:v2, sidecar: { image: { repository: a, tag: b } } }
---
kind: Odd
spec: { image: '', images: [a], icon: { image: 'not an image' }, nested: { image: null } }
";
    let found = find_images("all.yaml", text).unwrap();
    let lines: Vec<_> = found
        .images
        .iter()
        .map(|image| format!("{}  {}", image.reference, image.named_by))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    docker.io/library/busybox:latest  Deployment web
    docker.io/library/nginx:1.25  Deployment web
    ghcr.io/acme/backup@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  CronJob backup
    quay.io/acme/model:1  Deployment web
    quay.io/acme/proxy:2  Deployment web
    quay.io/prometheus/prometheus:v2  Prometheus main
    ");
}

#[test]
fn a_template_is_no_manifest() {
    let error = find_images("t.yaml", "image: {{ .Values.image }}\n").unwrap_err().to_string();
    assert!(error.starts_with("t.yaml:1:"), "{error}");
    assert_eq!(find_images("t.yaml", "").unwrap(), Found::default());
}

#[test]
fn what_may_mean_an_image_and_is_none_is_told() {
    let text = r#"
kind: Pod
metadata: { name: web }
spec:
  containers:
    - { image: "{{ .Values.image }}:{{ .Values.tag }}" }
    - { image: "$(IMAGE)" }
    - { image: "Site.Local/App:1" }
    - { image: "" }
---
kind: Prometheus
metadata: { name: main }
spec: { image: { registry: quay.io, repository: a/b, tag: v1 }, schema: { image: { type: object } } }
"#;
    let found = find_images("all.yaml", text).unwrap();
    assert!(found.images.is_empty(), "{found:?}");
    let lines: Vec<_> =
        found.unrecognised.iter().map(|of| format!("{}  {}", of.named_by, of.text)).collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    Pod web  $(IMAGE)
    Pod web  Site.Local/App:1
    Prometheus main  { registry: quay.io, repository: a/b, tag: v1 }
    Pod web  {{ .Values.image }}:{{ .Values.tag }}
    ");
}

#[test]
fn what_is_nested_deeply_is_read_and_what_has_no_end_is_refused() {
    let nested = |depth: usize| {
        let (open, close) = ("{a: ".repeat(depth), "}".repeat(depth));
        find_images("deep.yaml", &format!("{open}{{image: 'a:1'}}{close}\n"))
    };
    assert_eq!(nested(50).unwrap().images.len(), 1);
    let error = nested(100).unwrap_err().to_string();
    assert!(error.ends_with("this is nested too deeply"), "{error}");
    let laughs: String = (1..9)
        .map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(",")))
        .collect();
    assert!(find_images("bomb.yaml", &format!("a0: &a0 [x]\n{laughs}")).is_err());
}

#[test]
fn what_a_whole_cluster_runs_is_read() {
    let documents: String = (0..1500).map(|n| format!("---\nimage: a:{n}\n")).collect();
    assert_eq!(find_images("all.yaml", &documents).unwrap().images.len(), 1500);
    let items: String =
        (0..70_000).map(|n| format!("- kind: Pod\n  image: a:{}\n", n % 9)).collect();
    let list = format!("kind: List\nitems:\n{items}");
    assert_eq!(find_images("all.yaml", &list).unwrap().images.len(), 9);
}
