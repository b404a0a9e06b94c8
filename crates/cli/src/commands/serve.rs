//! `serve`: layouts, answered for as a registry.

mod client_setup;
mod files;
pub(in crate::commands) mod listen;
mod log;
mod places;
mod system;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use longshore_layout::Links;
use longshore_registry::front::{self, Server};
use longshore_registry::{Access, Handler, Missing, RegistryOptions, Scheme};
use longshore_spec::RepositoryName;
use longshore_store::{Error, Name, Place};

use self::files::Files;
use self::log::Log;
use self::places::Places;
use crate::args::Serve;
use crate::documents::{ServeDocument as Document, ServedRepository as Listed};
use crate::human;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::signals::{self, Event};

/// How often it is looked whether files of certificates or passwords have changed.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

impl Document {
    /// Returns the first address that other machines reach, as they type it; `None` if there is none. That
    /// of every address is none, and so `own` is taken.
    fn reached_at(&self, own: impl FnOnce() -> String) -> Option<String> {
        let addresses = self.addresses.iter().filter_map(|address| address.parse().ok());
        let mut others =
            addresses.filter(|address: &SocketAddr| !address.ip().to_canonical().is_loopback());
        let address = others.next()?;
        let is_every = address.ip().is_unspecified();
        Some(if is_every { format!("{}:{}", own(), address.port()) } else { address.to_string() })
    }
}

pub(crate) fn run(args: &Serve, output: &Output) -> Result<Exit, Problem> {
    // First of all, so that whoever ends it early ends it as asked.
    let events = signals::events().map_err(Problem::of)?;
    let (mut files, certificate, passwords) = Files::read(args, output)?;
    let Places { place, shown } = places::open(args, output)?;
    let repositories = repositories(&*place).map_err(Problem::of)?;
    let open_files = system::files(args, RegistryOptions::default().max_uploads, output);
    let options = RegistryOptions {
        access: if args.writable { Access::ReadWrite } else { Access::ReadOnly },
        missing: if args.allow_missing { Missing::Accept } else { Missing::Refuse },
        scheme: if args.tls_cert.is_some() { Scheme::Https } else { Scheme::Http },
        max_uploads: open_files.uploads,
        ..RegistryOptions::default()
    };
    let listeners = listen::bind_all(&args.listen)?;
    tracing::debug!(
        "{} of repositories, {} uploads at most",
        repositories.len(),
        options.max_uploads
    );
    if args.links.links() == Links::Anywhere {
        refuse_others(&listeners)?;
    }
    let log = args.access_log.then(|| Log::start(output.is_json()));
    let options_of_front = front::ServerOptions {
        max_connections: open_files.connections,
        max_requests: args.max_requests.get(),
        certificate,
        passwords,
        anonymous_pull: args.anonymous_pull,
        observer: log.as_ref().map(Log::observer),
        ..front::ServerOptions::default()
    };
    let registry = Arc::new(Handler::new(Arc::clone(&place), options));
    let server = front::serve(listeners, registry, options_of_front)
        .map_err(|error| Problem::of(Error::io("serve", &shown)(error)))?;
    warn_of_the_public(args, server.addresses(), output);
    let addresses: Vec<_> = server.addresses().iter().map(SocketAddr::to_string).collect();
    let document = Document {
        address: addresses[0].clone(),
        addresses,
        tls: args.tls_cert.is_some(),
        passwords: match (&args.htpasswd, args.anonymous_pull) {
            (None, _) => "nothing",
            (Some(_), true) => "pushes",
            (Some(_), false) => "everything",
        },
        writable: args.writable,
        repositories,
    };
    // As other machines reach it, if they do.
    let reached = document.reached_at(listen::own_name);
    let host = reached.clone().unwrap_or_else(|| document.address.clone());
    output.result(&document, || {
        let next = client_setup::instructions(&*place, &document, &host);
        let others = if reached.is_none() { client_setup::ONLY_HERE } else { "" };
        text(args, &document, &host, &shown) + &next + others
    })?;
    loop {
        match events.recv_timeout(LOOK_INTERVAL) {
            Ok(Event::Stop) => break,
            Ok(Event::Reload) => files.reload(&server, output),
            Err(RecvTimeoutError::Timeout) => files.look(&server, output),
            // Nobody can ask for anything; look for changes all the same.
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(LOOK_INTERVAL);
                files.look(&server, output);
            }
        }
    }
    Ok(stop(server, args.grace, log, output))
}

/// Lets requests that are under way end. Whoever asked politely is told 0 if all did.
fn stop(server: Server, grace: Duration, log: Option<Log>, output: &Output) -> Exit {
    tracing::info!("stopping");
    let left = server.stop(grace);
    if let Some(log) = log {
        log.finish();
    }
    if left == 0 {
        return Exit::Done;
    }
    let requests = human::count(left as u64, "request");
    output.warning(&format!("cut off {requests} that did not end within {} s", grace.as_secs()));
    Exit::Failed
}

fn repositories(place: &dyn Place) -> Result<Vec<Listed>, Error> {
    let listed = |name: RepositoryName| {
        let names = place.repository(&name)?.names()?;
        let tags = names.iter().filter(|name| name.tag().is_some()).map(Name::to_string).collect();
        Ok(Listed { name: name.to_string(), tags })
    };
    place.repositories()?.into_iter().map(listed).collect()
}

/// Refuses to answer other machines: a link may lead to any file of this one.
fn refuse_others(listeners: &[TcpListener]) -> Result<(), Problem> {
    for listener in listeners {
        let address =
            listener.local_addr().map_err(|error| Problem::of(Error::io("serve", "it")(error)))?;
        if !address.ip().to_canonical().is_loopback() {
            let text = format!(
                "links that leave a layout are not followed for whoever reaches {address}: they may lead to any file of this machine"
            );
            let hint = "leave out --follow-links or --listen; `longshore copy --follow-links` makes a layout without such links";
            return Err(Problem::new(Exit::Usage, text).hint(hint));
        }
    }
    Ok(())
}

fn warn_of_the_public(args: &Serve, addresses: &[SocketAddr], output: &Output) {
    for address in addresses.iter().filter(|address| !address.ip().to_canonical().is_loopback()) {
        let text = match (args.tls_cert.is_some(), args.htpasswd.is_some()) {
            (true, true) => continue,
            (true, false) => {
                format!("{address} answers everybody who reaches it, without a password")
            }
            (false, true) => format!(
                "passwords are sent to {address} in the clear; --tls-cert and --tls-key encrypt"
            ),
            (false, false) => {
                format!("{address} answers everybody who reaches it, without TLS or password")
            }
        };
        output.warning(&text);
    }
}

fn text(args: &Serve, document: &Document, host: &str, places: &str) -> String {
    const SHOWN: usize = 20;
    let Document { repositories, .. } = document;
    let names = repositories.iter().flat_map(|Listed { name, tags }| {
        tags.iter().map(move |tag| format!("  {host}/{name}:{tag}\n"))
    });
    let names: Vec<_> = names.collect();
    let more = if names.len() > SHOWN {
        format!("  and {} more\n", names.len() - SHOWN)
    } else {
        String::new()
    };
    let shown: String = names.into_iter().take(SHOWN).collect();
    let how = if args.writable { "for pulls and pushes" } else { "for pulls" };
    let scheme = if document.tls { "https" } else { "http" };
    let at: Vec<_> =
        document.addresses.iter().map(|address| format!("{scheme}://{address}")).collect();
    let at = at.join(" and ");
    format!("serving {places} at {at} {how}\n{shown}{more}")
}

#[cfg(test)]
mod tests {
    use super::Document;

    #[test]
    fn what_a_person_types_names_one_address() {
        for (addresses, typed) in [
            (&["[::]:5000"][..], Some("site.local:5000")),
            (&["0.0.0.0:80"], Some("site.local:80")),
            (&["127.0.0.1:5000"], None),
            (&["[::1]:5000", "127.0.0.1:5000"], None),
            (&["127.0.0.1:5000", "10.1.2.3:5000"], Some("10.1.2.3:5000")),
        ] {
            let document = Document {
                address: addresses[0].to_owned(),
                addresses: addresses.iter().map(ToString::to_string).collect(),
                tls: false,
                passwords: "nothing",
                writable: false,
                repositories: Vec::new(),
            };
            assert_eq!(document.reached_at(|| "site.local".to_owned()).as_deref(), typed);
        }
    }
}
