//! `serve`: a layout, answered for as a registry.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use longshore_layout::{Archive, ArchiveOptions, Directory};
use longshore_registry::{Access, Missing, Options, Registry, front};
use longshore_spec::RepositoryName;
use longshore_store::{Error, Name, Place};
use serde::Serialize;

use crate::args::Serve;
use crate::location::{Location, Where};
use crate::output::Output;
use crate::problem::{Exit, Problem};

/// What `serve --json` prints once it answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    address: String,
    writable: bool,
    repositories: Vec<Listed>,
}

#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    tags: Vec<String>,
}

pub(crate) fn run(args: &Serve, output: &Output) -> Result<Exit, Problem> {
    let place = open(args)?;
    let repositories = repositories(&*place).map_err(Problem::of)?;
    let options = Options {
        access: if args.writable { Access::ReadWrite } else { Access::ReadOnly },
        missing: if args.allow_missing { Missing::Accept } else { Missing::Refuse },
        ..Options::default()
    };
    let listen = |error| Problem::of(Error::io("listen on", args.listen)(error));
    let listener = TcpListener::bind(args.listen).map_err(listen)?;
    let registry = Arc::new(Registry::new(place, options));
    let server = front::serve(listener, registry, front::Options::default()).map_err(listen)?;
    warn_of_the_public(server.address(), output);
    let document =
        Document { address: server.address().to_string(), writable: args.writable, repositories };
    output.result(&document, || text(args, &document))?;
    // It ends with the process, whenever that is: what was answered is on the disk.
    loop {
        std::thread::park();
    }
}

/// Opens what is served. What says no repository belongs to one that is typed, or named after the
/// layout.
fn open(args: &Serve) -> Result<Arc<dyn Place>, Problem> {
    if args.place.selector.is_some() {
        let text =
            format!("`{}` selects an artifact, but a layout is served as a whole", args.place);
        return Err(Problem::new(Exit::Usage, text).hint(format!("write `{}`", args.place.whole())));
    }
    let bare = match &args.repository {
        Some(name) => name.clone(),
        None => named_after(&args.place),
    };
    match &args.place.place {
        Where::Archive(_) if args.writable => {
            let text = format!("{} is an archive, which is never changed", args.place);
            Err(Problem::new(Exit::Usage, text).hint("copy it to a directory, and serve that"))
        }
        Where::Archive(path) => {
            let scratch = args.scratch.clone().or_else(|| Some(std::env::temp_dir()));
            let archive = Archive::open(path, &ArchiveOptions { scratch }).map_err(Problem::of)?;
            Ok(Arc::new(archive.with_bare_names_in(bare)))
        }
        Where::Directory(path) => {
            let opened =
                if args.writable { Directory::create(path) } else { Directory::open(path) };
            Ok(Arc::new(opened.map_err(Problem::of)?.with_bare_names_in(bare)))
        }
        Where::Registry(_) => {
            let text = format!("{} is a registry already", args.place);
            Err(Problem::new(Exit::Usage, text)
                .hint("serve a layout: `oci:DIR` or `oci-archive:FILE`"))
        }
    }
}

/// Returns the name of a layout's file as the name of a repository, as far as it can be one.
fn named_after(place: &Location) -> RepositoryName {
    let stem =
        place.path().and_then(Path::file_stem).map(|stem| stem.to_string_lossy().to_lowercase());
    let parsed = stem.and_then(|stem| stem.parse().ok());
    parsed
        .unwrap_or_else(|| "layout".parse().unwrap_or_else(|_| unreachable!("it fits the grammar")))
}

fn repositories(place: &dyn Place) -> Result<Vec<Listed>, Error> {
    let listed = |name: RepositoryName| {
        let names = place.repository(&name)?.names()?;
        let tags = names.iter().filter(|name| name.tag().is_some()).map(Name::to_string).collect();
        Ok(Listed { name: name.to_string(), tags })
    };
    place.repositories()?.into_iter().map(listed).collect()
}

fn warn_of_the_public(address: SocketAddr, output: &Output) {
    if !address.ip().is_loopback() {
        output.warning(&format!(
            "{address} answers everybody who reaches it, without TLS or password"
        ));
    }
}

fn text(args: &Serve, document: &Document) -> String {
    const SHOWN: usize = 20;
    let Document { address, repositories, .. } = document;
    let names = repositories.iter().flat_map(|Listed { name, tags }| {
        tags.iter().map(move |tag| format!("  {address}/{name}:{tag}\n"))
    });
    let names: Vec<_> = names.collect();
    let more = if names.len() > SHOWN {
        format!("  and {} more\n", names.len() - SHOWN)
    } else {
        String::new()
    };
    let shown: String = names.into_iter().take(SHOWN).collect();
    let how = if args.writable { "for pulls and pushes" } else { "for pulls" };
    format!("serving {} at http://{address} {how}\n{shown}{more}", args.place)
}
