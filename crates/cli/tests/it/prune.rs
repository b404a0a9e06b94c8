//! `import --prune`: what bundles of a name brought, and no bundle of it wants any more.

use std::collections::BTreeSet;

use longshore_fixture::proxy::{Answer, Faults, Proxy, Rules};
use longshore_fixture::{Content, artifacts};
use serde_json::{Value, json};

use crate::common::{Ran, Site};
use crate::servers::Served;

/// A near layout with twenty charts, the far registry, and a proxy before that.
struct Scene {
    site: Site,
    far: Served,
    proxy: Proxy,
}

/// What imports into the far registry, as a rule of ours.
const IMPORT: &str = "import BUNDLE FAR/mirror --state site.json --prune";

impl Scene {
    fn new() -> Self {
        let site = Site::new();
        let mut content = Content::new();
        for number in 1..=20 {
            let chart = artifacts::helm_chart(&mut content, number);
            content.tag(&chart, &format!("near.example/acme/r{}:v{number}", number % 3));
        }
        site.put("near", &content);
        let far = Served::start(&site, "oci:far --writable");
        let proxy = Proxy::start(far.address(), Faults::http(Rules::default())).unwrap();
        Self { site, far, proxy }
    }

    /// Exports the charts with these numbers as a bundle of a series.
    fn bundle(&self, file: &str, name: &str, sequence: u64, numbers: &[u64]) {
        let refs = numbers.iter().map(|number| {
            format!("  - ref: oci:near:near.example/acme/r{}:v{number}\n", number % 3)
        });
        let refs: String = refs.collect();
        self.site.file("bundle.yaml", format!("name: {name}\nartifacts:\n{refs}"));
        self.site.ok(&format!("export -q -f bundle.yaml --sequence {sequence} -o {file}"));
    }

    fn line(&self, line: &str) -> String {
        let proxy = self.proxy.address().to_string();
        line.replace("PROXY", &proxy).replace("FAR", self.far.host())
    }

    fn run(&self, line: &str) -> Ran {
        self.site.run(&self.line(line))
    }

    fn ok(&self, line: &str) -> Ran {
        let ran = self.run(line);
        assert_eq!(ran.code, 0, "{line}: {}", ran.stderr);
        ran
    }

    fn import(&self, bundle: &str, flags: &str) -> Ran {
        self.run(&format!("{} {flags}", IMPORT.replace("BUNDLE", bundle)))
    }

    fn json(&self, line: &str) -> Value {
        self.site.json(&self.line(line))
    }

    /// Returns the tags of the far registry below a prefix, each with its repository.
    fn tags(&self, prefix: &str) -> BTreeSet<String> {
        let mut tags = BTreeSet::new();
        for repository in self.json("list FAR").as_array().unwrap() {
            let place = repository["repository"].as_str().unwrap();
            let name = place.strip_prefix(&format!("{}/{prefix}/", self.far.host()));
            let Some(short) = name else { continue };
            for root in self.json(&format!("list {place}")).as_array().unwrap() {
                tags.extend(root["name"].as_str().map(|tag| format!("{short}:{tag}")));
            }
        }
        tags
    }

    fn state(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.site.path("site.json")).unwrap()).unwrap()
    }
}

fn charts(numbers: impl IntoIterator<Item = u64>) -> BTreeSet<String> {
    numbers.into_iter().map(|number| format!("acme/r{}:v{number}", number % 3)).collect()
}

fn numbers(from: u64, to: u64) -> Vec<u64> {
    (from..=to).collect()
}

#[test]
fn what_no_bundle_wants_any_more_goes() {
    let scene = Scene::new();
    scene.bundle("one.tar", "plant-7", 1, &numbers(1, 20));
    scene.bundle("two.tar", "plant-7", 2, &numbers(1, 18));
    let ran = scene.import("one.tar", "");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(scene.tags("mirror"), charts(1..=20));
    // A dry run says it, and changes nothing.
    let before = scene.site.files();
    let dry = scene.json("import two.tar FAR/mirror --state site.json --prune --dry-run");
    let names: Vec<_> = dry["pruned"].as_array().unwrap().iter().map(|of| &of["name"]).collect();
    let gone = [("r1", 19), ("r2", 20)];
    let gone = gone.map(|(r, v)| json!(format!("{}/mirror/acme/{r}:v{v}", scene.far.host())));
    assert_eq!(names, gone.iter().collect::<Vec<_>>());
    assert_eq!(dry["kept"], json!([]));
    assert!(scene.site.files() == before, "a dry run writes nothing");
    let done = scene.json("import two.tar FAR/mirror --state site.json --prune");
    assert_eq!(done["pruned"], dry["pruned"]);
    assert_eq!(scene.tags("mirror"), charts(1..=18));
    let verified = scene.ok("verify two.tar");
    assert!(verified.text().contains(" (plant-7, number 2)\n"), "{}", verified.text());
    let again = scene.ok("import two.tar FAR/mirror --state site.json --prune");
    assert!(again.text().contains("; 0 names removed\n"), "{}", again.text());
    assert_eq!(scene.state()["deliveries"][0]["names"].as_object().unwrap().len(), 18);
}

#[test]
fn two_bundles_of_one_site_touch_nothing_of_each_other() {
    let scene = Scene::new();
    scene.bundle("a1.tar", "team-a", 1, &numbers(1, 10));
    scene.bundle("a2.tar", "team-a", 2, &numbers(1, 5));
    scene.bundle("b1.tar", "team-b", 1, &numbers(8, 20));
    for bundle in ["a1.tar", "b1.tar"] {
        assert_eq!(scene.import(bundle, "").code, 0);
    }
    let done = scene.json("import a2.tar FAR/mirror --state site.json --prune --yes");
    assert_eq!(done["pruned"].as_array().unwrap().len(), 2, "{done}");
    let kept = done["kept"].as_array().unwrap();
    assert_eq!(kept.len(), 3, "{done}");
    assert!(kept.iter().all(|kept| kept["why"] == "shared" && kept["by"] == "team-b"), "{done}");
    assert_eq!(scene.tags("mirror"), charts((1..=5).chain(8..=20)));
    // What is the other's now is not this one's, whatever becomes of it there.
    let done = scene.json("import a2.tar FAR/mirror --state site.json --prune");
    assert_eq!((&done["pruned"], &done["kept"]), (&json!([]), &json!([])));
    // The same name at another part of the registry is another matter, too.
    scene.ok("import -q a1.tar FAR/second --state site.json --prune");
    scene.ok("import -q a2.tar FAR/second --state site.json --prune --yes");
    assert_eq!(scene.tags("mirror"), charts((1..=5).chain(8..=20)));
    assert_eq!(scene.tags("second"), charts(1..=5));
}

#[test]
fn what_somebody_else_moved_or_removed_stays_so() {
    let scene = Scene::new();
    scene.bundle("one.tar", "plant-7", 1, &numbers(1, 20));
    scene.bundle("two.tar", "plant-7", 2, &numbers(1, 17));
    assert_eq!(scene.import("one.tar", "").code, 0);
    scene.ok("copy -q FAR/mirror/acme/r1:v1 FAR/mirror/acme/r1:v19");
    scene.ok("untag -q FAR/mirror/acme/r2:v20");
    scene.ok("copy -q FAR/mirror/acme/r0:v18 FAR/others/app:v18");
    let ran = scene.import("two.tar", "");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("/mirror/acme/r1:v19 stays: it stands for sha256:"),
        "{}",
        ran.stderr
    );
    let left: BTreeSet<_> = charts((1..=17).chain([19]));
    assert_eq!(scene.tags("mirror"), left);
    assert_eq!(scene.tags("others"), BTreeSet::from(["app:v18".to_owned()]));
    // It is theirs now: nothing is said of it any more.
    let ran = scene.import("two.tar", "");
    assert_eq!((ran.code, ran.stderr.contains("v19")), (0, false), "{}", ran.stderr);
}

#[test]
fn without_a_state_nothing_goes() {
    let scene = Scene::new();
    scene.bundle("one.tar", "plant-7", 1, &numbers(1, 20));
    scene.bundle("two.tar", "plant-7", 2, &numbers(1, 2));
    assert_eq!(scene.import("one.tar", "").code, 0);
    let before = scene.site.files();
    let ran = scene.run("import two.tar FAR/mirror --prune");
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("there is no state, so nothing is known"), "{}", ran.stderr);
    assert!(ran.stderr.contains("the first import with --state FILE begins one"), "{}", ran.stderr);
    // One that was cut off, changed or is something else is no state either.
    let state = std::fs::read_to_string(scene.site.path("site.json")).unwrap();
    for (bad, told) in [
        (&state[..state.len() / 2], "it is malformed"),
        (&state.replace("\"sequence\":1", "\"sequence\":2"), "it was changed or cut off"),
        ("", "it is malformed"),
        ("name: plant-7\n", "it is malformed"),
    ] {
        scene.site.file("bad.json", bad);
        let ran = scene.run("import two.tar FAR/mirror --state bad.json --prune --yes");
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        let said = format!("bad.json does not say what was imported before: {told}");
        assert!(ran.stderr.contains(&said), "{}", ran.stderr);
    }
    std::fs::remove_file(scene.site.path("bad.json")).unwrap();
    assert!(scene.site.files() == before, "nothing is written");
    // A lost one begins anew.
    std::fs::remove_file(scene.site.path("site.json")).unwrap();
    let ran = scene.run("import two.tar FAR/mirror --state site.json --prune");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let told = "no earlier bundle of plant-7 is known at this target, so nothing is removed";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    assert_eq!(scene.tags("mirror"), charts(1..=20));
}

#[test]
fn a_question_that_is_not_answered_keeps_all() {
    let scene = Scene::new();
    scene.bundle("one.tar", "plant-7", 1, &numbers(1, 20));
    scene.bundle("two.tar", "plant-7", 2, &numbers(1, 18));
    let flags = "PROXY/mirror --state site.json --prune";
    scene.ok(&format!("import -q one.tar {flags}"));
    let state = scene.state();
    let refused = |request: &longshore_fixture::proxy::Request| {
        request.path().ends_with("/manifests/v19").then(|| Answer::status(403))
    };
    scene.proxy.faults().rules = Some(Rules::default().answer(refused));
    let ran = scene.run(&format!("import --json two.tar {flags}"));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let told = "nothing is removed: it is not known what 1 name at the target stand for";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    let document: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(document["pruned"], json!([]));
    assert_eq!(document["failures"][0]["status"], 403, "{document}");
    assert_eq!(scene.tags("mirror"), charts(1..=20));
    assert_eq!(scene.state()["deliveries"][0]["names"], state["deliveries"][0]["names"]);
    scene.proxy.faults().rules = None;
    scene.ok(&format!("import -q two.tar {flags}"));
    assert_eq!(scene.tags("mirror"), charts(1..=18));
}

#[test]
fn nothing_goes_unless_all_of_the_bundle_came() {
    let scene = Scene::new();
    scene.bundle("one.tar", "plant-7", 1, &numbers(1, 19));
    scene.bundle("two.tar", "plant-7", 2, &numbers(2, 20));
    let flags = "PROXY/mirror --state site.json --prune";
    scene.ok(&format!("import -q one.tar {flags}"));
    let refused = |request: &longshore_fixture::proxy::Request| {
        let is_it = request.method == "PUT" && request.path().ends_with("/manifests/v20");
        is_it.then(|| Answer::status(403))
    };
    scene.proxy.faults().rules = Some(Rules::default().answer(refused));
    let ran = scene.run(&format!("import two.tar {flags}"));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert_eq!(scene.tags("mirror"), charts(1..=19));
    // What came is known, what did not is not, and what was is.
    let state = scene.state();
    assert_eq!(state["deliveries"][0]["sequence"], 2);
    assert_eq!(state["deliveries"][0]["names"].as_object().unwrap().len(), 19);
    scene.proxy.faults().rules = None;
    scene.ok(&format!("import -q two.tar {flags}"));
    assert_eq!(scene.tags("mirror"), charts(2..=20));
    // A bundle that lacks what it was to have does not say what is wanted.
    let wanted = "name: plant-7\nartifacts: [{ ref: oci:near:near.example/acme/r2:v2 }, { ref: oci:near:near.example/acme/r0:v99 }]\n";
    scene.site.file("bundle.yaml", wanted);
    let ran = scene.run("export -q -f bundle.yaml --sequence 3 --keep-going -o some.tar");
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let ran = scene.run(&format!("import -q some.tar {flags} --yes"));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let told = "nothing is removed: the bundle was made without 1 artifact that it was to have";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    assert_eq!(scene.tags("mirror"), charts(2..=20));
}

#[test]
fn more_than_a_share_is_refused_before_anything_is_written() {
    let scene = Scene::new();
    scene.bundle("one.tar", "plant-7", 1, &numbers(1, 19));
    scene.bundle("two.tar", "plant-7", 2, &numbers(3, 20));
    assert_eq!(scene.import("one.tar", "").code, 0);
    let before = scene.site.files();
    let told = "2 of 19 names that bundles of plant-7 brought would be removed, more than 10 %; nothing was written";
    for flags in ["", "--dry-run", "--prune-limit 10%"] {
        let ran = scene.import("two.tar", flags);
        assert_eq!(ran.code, 1, "{flags}: {}", ran.stderr);
        assert!(ran.stderr.contains(told), "{flags}: {}", ran.stderr);
        assert!(scene.site.files() == before, "{flags}: nothing is written");
    }
    let ran = scene.run("import two.tar FAR/mirror --state site.json --prune --dry-run");
    assert!(ran.stderr.contains("would remove "), "it is shown: {}", ran.stderr);
    assert_eq!(scene.import("two.tar", "--prune-limit 11").code, 0);
    assert_eq!(scene.tags("mirror"), charts(3..=20));
    scene.bundle("three.tar", "plant-7", 3, &[20]);
    assert_eq!(scene.import("three.tar", "--prune-limit 94%").code, 1);
    assert_eq!(scene.import("three.tar", "--yes").code, 0);
    assert_eq!(scene.tags("mirror"), charts([20]));
    for flags in ["--prune-limit 101", "--prune-limit ten", "--yes --prune-limit 5"] {
        assert_eq!(scene.import("three.tar", flags).code, 2, "{flags}");
    }
}

#[test]
fn an_older_bundle_is_refused_before_anything_is_written() {
    let scene = Scene::new();
    scene.bundle("seven.tar", "plant-7", 7, &numbers(1, 3));
    scene.bundle("eight.tar", "plant-7", 8, &numbers(2, 3));
    scene.ok("import -q seven.tar FAR/mirror --state site.json");
    scene.ok("import -q eight.tar FAR/mirror --state site.json");
    scene.ok("import -q eight.tar FAR/mirror --state site.json");
    scene.ok("untag -q FAR/mirror/acme/r1:v1");
    let before = scene.site.files();
    let ran = scene.run("import seven.tar FAR/mirror --state site.json");
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let told = "the bundle is number 7 of plant-7, and number 8 came before; nothing got a name";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    assert!(ran.stderr.contains("--allow-older"), "{}", ran.stderr);
    scene.ok("export -q -f bundle.yaml -o unnumbered.tar");
    let ran = scene.run("import unnumbered.tar FAR/mirror --state site.json");
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("has no sequence, and number 8 came before"), "{}", ran.stderr);
    let mut now = scene.site.files();
    now.remove("unnumbered.tar");
    assert!(now == before, "nothing is written");
    // Where nobody keeps account, and elsewhere, nobody knows.
    scene.ok("import -q seven.tar FAR/second --state site.json");
    scene.ok("import -q unnumbered.tar FAR/mirror --state site.json --allow-older");
    assert_eq!(scene.import("seven.tar", "").code, 1, "the last number is still known");
    scene.ok("import -q seven.tar FAR/mirror --state site.json --allow-older");
    assert_eq!(scene.tags("mirror"), charts(1..=3));
    scene.ok("import -q eight.tar FAR/mirror --state site.json");
}

#[test]
fn what_goes_by_another_mapping_now_stays() {
    let scene = Scene::new();
    scene.bundle("one.tar", "plant-7", 1, &numbers(1, 20));
    let flags = "FAR --state site.json --prune --map near.example/=FAR";
    scene.ok(&format!("import -q one.tar {flags}/hub/"));
    let ran = scene.run(&format!("import one.tar {flags}/other/"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("stays: it is in the bundle, which brings it as "),
        "{}",
        ran.stderr
    );
    assert_eq!(scene.tags("hub"), charts(1..=20));
    assert_eq!(scene.tags("other"), charts(1..=20));
    // What the bundle does not have at all goes wherever it was brought.
    scene.bundle("two.tar", "plant-7", 2, &numbers(2, 20));
    scene.ok(&format!("import -q two.tar {flags}/other/"));
    assert_eq!(scene.tags("hub"), charts(2..=20));
    assert_eq!(scene.tags("other"), charts(2..=20));
}

#[test]
fn where_only_manifests_are_deleted_nothing_of_others_goes_with_them() {
    let scene = Scene::new();
    // Two tags of one chart, an index with a tagged manifest of its own, and a chart alone.
    let site = &scene.site;
    let mut content = Content::new();
    let index = crate::common::two_platforms(&mut content);
    content.tag(&index, "near.example/a:index");
    let chart = artifacts::helm_chart(&mut content, 1);
    content.tag(&chart, "near.example/a:chart");
    content.tag(&chart, "near.example/a:same");
    let other = artifacts::helm_chart(&mut content, 2);
    content.tag(&other, "near.example/a:alone");
    content.tag(&other, "near.example/a:twin");
    site.put("mixed", &content);
    let child = site.json("inspect oci:mixed:near.example/a:index");
    let child = child["manifests"][0]["digest"].as_str().unwrap();
    site.ok(&format!("copy -q oci:mixed@{child} oci:mixed:near.example/a:child"));
    let bundle = |file: &str, sequence: u64, tags: &[&str]| {
        let refs = tags.iter().map(|tag| format!("  - ref: oci:mixed:near.example/a:{tag}\n"));
        let refs: String = refs.collect();
        site.file("bundle.yaml", format!("name: plant-7\nartifacts:\n{refs}"));
        site.ok(&format!("export -q -f bundle.yaml --sequence {sequence} -o {file}"));
    };
    bundle("one.tar", 1, &["index", "child", "chart", "same", "alone", "twin"]);
    bundle("two.tar", 2, &["index", "chart"]);
    let only_manifests = |request: &longshore_fixture::proxy::Request| {
        let is_tag = request.method == "DELETE" && !request.path().contains("sha256:");
        is_tag.then(|| Answer::status(405))
    };
    let flags = "PROXY/mirror --state site.json --prune";
    scene.proxy.faults().rules = Some(Rules::default().answer(only_manifests));
    scene.ok(&format!("import -q one.tar {flags}"));
    let rules = Rules::default()
        .answer(only_manifests)
        .answer(|request| request.path().ends_with("/tags/list").then(|| Answer::status(403)));
    scene.proxy.faults().rules = Some(rules);
    let ran = scene.run(&format!("import two.tar {flags} --yes"));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("403"), "{}", ran.stderr);
    let all = ["alone", "chart", "child", "index", "same", "twin"];
    let tags = |tags: &[&str]| tags.iter().map(|tag| format!("a:{tag}")).collect::<BTreeSet<_>>();
    assert_eq!(scene.tags("mirror"), tags(&all));
    // What could not go is overdue, and no share of what is new.
    scene.proxy.faults().rules = Some(Rules::default().answer(only_manifests));
    let document = scene.json(&format!("import two.tar {flags}"));
    assert_eq!(document["pruned"].as_array().unwrap().len(), 2, "{document}");
    let why = |tag: &str| {
        let kept = document["kept"].as_array().unwrap().iter();
        let mut kept = kept.filter(|kept| kept["name"].as_str().unwrap().ends_with(tag));
        (kept.next().unwrap()["why"].clone(), kept.next())
    };
    assert_eq!(why(":same"), (json!("tagged"), None));
    assert_eq!(why(":child"), (json!("listed"), None));
    assert_eq!(scene.tags("mirror"), tags(&["chart", "child", "index", "same"]));
    scene.ok("verify -q FAR/mirror/a");
    scene.ok(&format!("import -q two.tar {flags}"));
    // A registry that deletes nothing says so.
    bundle("three.tar", 3, &["index"]);
    let nothing = |request: &longshore_fixture::proxy::Request| {
        (request.method == "DELETE").then(|| Answer::status(405))
    };
    scene.proxy.faults().rules = Some(Rules::default().answer(nothing));
    let ran = scene.run(&format!("import -q three.tar {flags} --yes"));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("does not delete manifests"), "{}", ran.stderr);
    assert_eq!(scene.tags("mirror"), tags(&["chart", "child", "index", "same"]));
}

#[test]
fn a_layout_keeps_its_state_in_itself_wherever_it_goes() {
    let scene = Scene::new();
    scene.bundle("one.tar", "plant-7", 1, &numbers(1, 20));
    scene.bundle("two.tar", "plant-7", 2, &numbers(1, 18));
    let site = &scene.site;
    site.ok("import -q one.tar oci:store --prune");
    assert!(site.path("store/.longshore/state.json").exists());
    std::fs::rename(site.path("store"), site.path("moved")).unwrap();
    site.ok("gc -q moved --older-than 0s");
    site.ok("import -q two.tar oci:moved --prune");
    let names = site.json("list oci:moved");
    assert_eq!(names.as_array().unwrap().len(), 18);
    site.ok("verify -q oci:moved");
    let older = site.run("import -q one.tar oci:moved");
    assert_eq!(older.code, 1, "{}", older.stderr);
    assert!(older.stderr.contains("number 2 came before"), "{}", older.stderr);
    let refused = site.run("import -q two.tar oci:moved --state site.json");
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("--state is for registries"), "{}", refused.stderr);
    // Nothing is created for a look.
    let look = site.run("import -q one.tar oci:new --dry-run --prune");
    assert_eq!(look.code, 0, "{}", look.stderr);
    assert!(!site.path("new").exists());
}

#[test]
fn a_bundle_without_a_name_has_no_state() {
    let scene = Scene::new();
    scene.site.ok("export -q oci:near:near.example/acme/r1:v1 -o nameless.tar");
    for (flags, flag) in [("--state site.json", "--state"), ("--prune", "--prune")] {
        let ran = scene.run(&format!("import nameless.tar FAR/mirror {flags}"));
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        let told = format!("the bundle has no name, so {flag} has nothing to go by");
        assert!(ran.stderr.contains(&told), "{}", ran.stderr);
    }
    scene.site.ok("import -q nameless.tar oci:store");
    assert!(!scene.site.path("store/.longshore/state.json").exists());
}

#[test]
fn a_delta_prunes_by_all_that_it_stands_for() {
    let scene = Scene::new();
    scene.bundle("one.tar", "plant-7", 1, &numbers(1, 20));
    assert_eq!(scene.import("one.tar", "").code, 0);
    scene.bundle("two.tar", "plant-7", 2, &numbers(1, 18));
    scene.site.ok("export -q -f bundle.yaml --sequence 2 --base one.tar -o delta.tar");
    let ran = scene.import("delta.tar", "");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(scene.tags("mirror"), charts(1..=18));
}

#[test]
fn a_state_is_used_by_one_import_at_a_time() {
    let scene = Scene::new();
    scene.bundle("one.tar", "plant-7", 1, &numbers(1, 3));
    // Whoever holds the lock is at work.
    let lock = std::fs::File::create(scene.site.path("site.json.lock")).unwrap();
    lock.lock().unwrap();
    let ran = scene.import("one.tar", "");
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("site.json is in use by another process"), "{}", ran.stderr);
    assert!(ran.stderr.contains("another import uses this state"), "{}", ran.stderr);
    assert!(!scene.site.path("site.json").exists());
    drop(lock);
    assert_eq!(scene.import("one.tar", "").code, 0);
}

#[test]
fn what_is_refused_is_said_with_what_to_do() {
    let scene = Scene::new();
    let site = &scene.site;
    scene.bundle("seven.tar", "plant-7", 7, &numbers(1, 20));
    scene.bundle("eight.tar", "plant-7", 8, &numbers(1, 15));
    site.ok("export -q oci:near:near.example/acme/r1:v1 -o nameless.tar");
    site.ok("import -q seven.tar oci:site");
    let too_much = site.errors(&["import eight.tar oci:site --prune"]);
    insta::assert_snapshot!(too_much, @"
    $ longshore import eight.tar oci:site --prune
    error: 5 of 20 names that bundles of plant-7 brought would be removed, more than 10 %; nothing was written
      hint: --dry-run shows them; --yes removes them all the same
    [exit 1]
    ");
    site.ok("import -q eight.tar oci:site");
    let ours = site.errors(&[
        "import seven.tar oci:site",
        "import nameless.tar oci:site --prune",
        "import eight.tar oci:site --state site.json",
    ]);
    insta::assert_snapshot!(ours, @"
    $ longshore import seven.tar oci:site
    error: the bundle is number 7 of plant-7, and number 8 came before; nothing got a name
      hint: --allow-older imports it all the same
    [exit 1]

    $ longshore import nameless.tar oci:site --prune
    error: the bundle has no name, so --prune has nothing to go by
      hint: give it one with `name:` in bundle.yaml, and export it again
    [exit 2]

    $ longshore import eight.tar oci:site --state site.json
    error: --state is for registries: a layout has its state in itself
      hint: leave out --state
    [exit 2]
    ");
    site.file("site.json", "{\"deliveries\":[");
    let theirs = scene.far.errors(
        site,
        &[
            "import eight.tar HOST/mirror --prune",
            "import eight.tar HOST/mirror --prune --state site.json",
        ],
    );
    insta::assert_snapshot!(theirs, @"
    $ longshore import eight.tar HOST/mirror --prune
    error: there is no state, so nothing is known that could be removed
      hint: the first import with --state FILE begins one
    [exit 2]

    $ longshore import eight.tar HOST/mirror --prune --state site.json
    error: site.json does not say what was imported before: it is malformed: EOF while parsing a list
      hint: bring back a copy of it, or remove it: then nothing that came before is pruned
    [exit 2]
    ");
}

#[test]
fn what_a_registry_does_not_take_away_is_not_taken_for_gone() {
    let scene = Scene::new();
    scene.bundle("one.tar", "plant-7", 1, &numbers(1, 20));
    scene.bundle("two.tar", "plant-7", 2, &numbers(1, 19));
    let flags = "PROXY/mirror --state site.json --prune";
    scene.ok(&format!("import -q one.tar {flags}"));
    let unknown = |request: &longshore_fixture::proxy::Request| {
        (request.method == "DELETE").then(|| Answer::status(404))
    };
    scene.proxy.faults().rules = Some(Rules::default().answer(unknown));
    let ran = scene.run(&format!("import two.tar {flags}"));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("v20"), "{}", ran.stderr);
    let state = scene.state();
    assert_eq!(state["deliveries"][0]["names"].as_object().unwrap().len(), 20);
    assert_eq!(scene.tags("mirror"), charts(1..=20));
    scene.proxy.faults().rules = None;
    scene.ok(&format!("import -q two.tar {flags}"));
    assert_eq!(scene.tags("mirror"), charts(1..=19));
}
