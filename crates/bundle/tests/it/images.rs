//! The images that Kubernetes manifests name.

use longshore_bundle::find_images;

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
    let lines: Vec<_> =
        found.iter().map(|image| format!("{}  {}", image.reference, image.named_by)).collect();
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
    assert!(find_images("t.yaml", "").unwrap().is_empty());
}
