//! What there are schemas of.

use clap::ValueEnum;

#[derive(Debug, clap::Args)]
pub(crate) struct Schema {
    /// A command, such as `copy`, or a file, such as `bundle.yaml` [default: list the names]
    #[arg(value_name = "NAME")]
    pub(crate) of: Option<Described>,
}

/// Something that has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Described {
    /// What `completions` prints
    Completions,
    /// What `copy` prints
    #[value(alias = "cp")]
    Copy,
    /// What `delete` prints
    Delete,
    /// What `diff` prints
    Diff,
    /// What `digest` prints
    Digest,
    /// What `export` prints
    Export,
    /// What `find-images` prints
    FindImages,
    /// What `gc` prints
    Gc,
    /// What `import` prints
    Import,
    /// What `init` prints
    Init,
    /// What `inspect` prints
    Inspect,
    /// What `list` prints
    #[value(alias = "ls")]
    List,
    /// What `lock` prints
    Lock,
    /// What `login` prints
    Login,
    /// What `logout` prints
    Logout,
    /// What `man` prints
    Man,
    /// What `mirror` prints
    Mirror,
    /// What `receipt` prints
    Receipt,
    /// What `schema` prints
    Schema,
    /// What `serve` prints
    Serve,
    /// What `tag` prints
    Tag,
    /// What `tree` prints
    Tree,
    /// What `types` prints
    Types,
    /// What `untag` prints
    Untag,
    /// What `verify` prints
    Verify,
    /// What a command prints that could not begin
    Error,
    /// A line of `--progress json`
    Progress,
    /// A line of `serve --access-log --json`
    AccessLog,
    /// The file of `import --report`
    ImportReport,
    /// The artifacts to export
    #[value(name = "bundle.yaml")]
    BundleYaml,
    /// The artifacts that are kept equal, and where
    #[value(name = "mirror.yaml")]
    MirrorYaml,
    /// The artifacts to export, pinned to digests
    #[value(name = "bundle.lock")]
    BundleLock,
    /// What a bundle holds and why
    #[value(name = "bundle.json")]
    BundleJson,
}

impl Described {
    /// Returns what it is called, and what it is.
    pub(crate) fn words(self) -> (String, String) {
        let Some(value) = self.to_possible_value() else { return Default::default() };
        let about = value.get_help().map(ToString::to_string).unwrap_or_default();
        (value.get_name().to_owned(), about)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::args::Args;

    #[test]
    fn every_command_has_a_schema() {
        let names: Vec<_> = Described::value_variants().iter().map(|of| of.words().0).collect();
        let program = Args::command();
        for command in program.get_subcommands().filter(|command| !command.is_hide_set()) {
            assert!(names.iter().any(|name| name == command.get_name()), "{}", command.get_name());
        }
    }
}
