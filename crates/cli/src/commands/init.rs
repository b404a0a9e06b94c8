//! `init`: an example of what a bundle or a mirror may be asked for.

use std::path::Path;

use longshore_bundle::{EXAMPLE, MIRROR_EXAMPLE};
use longshore_layout::write_file;
use longshore_store::Error;

use crate::args::Init;
use crate::documents::InitDocument as Document;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::shell;

pub(crate) fn run(args: &Init, output: &Output) -> Result<Exit, Problem> {
    let (name, example) =
        if args.mirror { ("mirror.yaml", MIRROR_EXAMPLE) } else { ("bundle.yaml", EXAMPLE) };
    let path = args.file.as_deref().unwrap_or(Path::new(name));
    let file = path.display().to_string();
    if path.exists() {
        return Err(Problem::of(Error::Exists { what: file })
            .hint("name another file; what is there stays as it is"));
    }
    tracing::debug!("writing {file}, {} bytes", example.len());
    write_file(path, example.as_bytes()).map_err(Problem::of)?;
    let document = Document { file };
    output.summary(&document, || {
        let file = &document.file;
        let word = shell::word(file);
        let next = if args.mirror {
            format!("longshore mirror -f {word} --dry-run")
        } else {
            format!("longshore export -f {word} -o bundle.tar")
        };
        format!("{file} is an example; change it, then `{next}`\n")
    })?;
    Ok(Exit::Done)
}
