//! The commands that are run beside traps.

use anyhow::Result;

use super::scene::{Ground, Scene};
use super::server;
use super::template::Template;
use super::watch::{Ended, Launch};

/// A command.
pub(super) struct Subject {
    /// What is typed; `LAY`, `OUT` and `OTHER` stand for directories of the scene.
    pub(super) words: &'static str,
    /// Where what it opens lies.
    pub(super) touches: &'static [Ground],
    doing: Doing,
}

enum Doing {
    /// It runs and ends.
    Run,
    /// It runs and ends, and reads an archive from stdin.
    Read,
    /// It serves, and is asked for all that it has.
    Pull,
    /// It serves, and is given content, which is then deleted.
    Push,
}

const LAYOUT: &[Ground] = &[Ground::Layout];
const OUTPUT: &[Ground] = &[Ground::Output];
const BOTH: &[Ground] = &[Ground::Layout, Ground::Output];

const fn on(touches: &'static [Ground], words: &'static str) -> Subject {
    Subject { words, touches, doing: Doing::Run }
}

pub(super) const COMMANDS: &[Subject] = &[
    on(LAYOUT, "list --all oci:LAY"),
    on(LAYOUT, "tree oci:LAY"),
    on(LAYOUT, "inspect oci:LAY:reg.example/app:1"),
    on(LAYOUT, "inspect --raw oci:LAY:reg.example/app:1"),
    on(LAYOUT, "inspect --config oci:LAY:reg.example/app:1"),
    on(LAYOUT, "digest oci:LAY:reg.example/app:1"),
    on(LAYOUT, "verify oci:LAY"),
    on(LAYOUT, "copy --all oci:LAY oci:OUT/copy"),
    on(BOTH, "copy --all oci:LAY oci-archive:OUT/site.tar"),
    on(LAYOUT, "copy --all oci:OTHER oci:LAY"),
    on(LAYOUT, "export oci:LAY:reg.example/app:1 -o oci:OUT/bundle --docker-manifest"),
    on(BOTH, "export oci:LAY:reg.example/app:1 -o OUT/site.tar --force"),
    on(LAYOUT, "export oci:OTHER:reg.example/other:1 -o oci:LAY --docker-manifest"),
    on(BOTH, "import oci:LAY oci:OUT/store --report OUT/report.json"),
    on(LAYOUT, "import OTHER.tar oci:LAY"),
    Subject { words: "import - oci:LAY", touches: LAYOUT, doing: Doing::Read },
    on(LAYOUT, "tag oci:LAY:reg.example/app:1 further"),
    on(LAYOUT, "untag oci:LAY:reg.example/app:1"),
    on(LAYOUT, "delete oci:LAY:reg.example/app:1"),
    on(LAYOUT, "gc --older-than 0 oci:LAY"),
    on(LAYOUT, "gc --older-than 0 --dry-run oci:LAY"),
    on(OUTPUT, "lock -f OUT/bundle.yaml"),
    on(OUTPUT, "lock -f OUT/bundle.yaml --check"),
    on(OUTPUT, "export -f OUT/bundle.yaml --locked -o OUT/site.tar"),
    on(OUTPUT, "init OUT/new.yaml"),
    Subject { words: "serve oci:LAY", touches: LAYOUT, doing: Doing::Pull },
    Subject { words: "serve --writable oci:LAY", touches: LAYOUT, doing: Doing::Push },
];

impl Subject {
    /// Runs it and returns what was found.
    pub(super) fn carry_out(
        &self,
        launch: &Launch<'_>,
        scene: &Scene,
        template: &Template,
    ) -> Result<Vec<String>> {
        let words = self.words.split(' ').map(|word| template.resolve(word, scene));
        let mut command = launch.command(scene);
        command.args(words);
        match self.doing {
            Doing::Run => Ok(Ended::of(command, None)?.findings()),
            Doing::Read => Ok(Ended::of(command, Some(&template.archive))?.findings()),
            Doing::Pull => server::pull(command, template),
            Doing::Push => server::push(command, template),
        }
    }
}
