//! `init`: an example of what a bundle may be asked for.

use longshore_bundle::EXAMPLE;
use longshore_layout::write_file;
use longshore_store::Error;

use crate::args::Init;
use crate::documents::InitDocument as Document;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::shell;

pub(crate) fn run(args: &Init, output: &Output) -> Result<Exit, Problem> {
    let file = args.file.display().to_string();
    if args.file.exists() {
        return Err(Problem::of(Error::Exists { what: file })
            .hint("name another file; what is there stays as it is"));
    }
    tracing::debug!("writing {file}, {} bytes", EXAMPLE.len());
    write_file(&args.file, EXAMPLE.as_bytes()).map_err(Problem::of)?;
    let document = Document { file };
    output.summary(&document, || {
        let file = &document.file;
        let word = shell::word(file);
        format!(
            "{file} is an example; change it, then `longshore export -f {word} -o bundle.tar`\n"
        )
    })?;
    Ok(Exit::Done)
}
