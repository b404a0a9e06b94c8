//! Serves a layout as a registry until somebody ends it: `serve oci:DIR`. Who pushes is asked for a password:
//! `$USERS` has lines as `htpasswd -B` writes them.

#![allow(clippy::print_stdout, reason = "it is a program")]

use std::error::Error;
use std::net::TcpListener;
use std::sync::Arc;

use longshore::layout::Directory;
use longshore::registry::front::{self, Passwords, Server};
use longshore::registry::{Access, Handler, RegistryOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).ok_or("write a directory")?;
    let users = std::env::var("USERS").unwrap_or_default();
    let server = run(&directory, "127.0.0.1:5000", &users)?;
    println!("http://{}", server.addresses()[0]);
    loop {
        std::thread::park();
    }
}

/// Serves a directory, which is created if it is not there.
pub(crate) fn run(directory: &str, listen: &str, users: &str) -> Result<Server, Box<dyn Error>> {
    // A server answers after each change: so it keeps a journal of them.
    let layout = Directory::create(directory)?.with_journal();
    let options = RegistryOptions { access: Access::ReadWrite, ..RegistryOptions::default() };
    let registry = Arc::new(Handler::new(Arc::new(layout), options));
    let (passwords, _refused) = Passwords::parse(users);
    let front = front::ServerOptions {
        passwords: Some(passwords).filter(|passwords| !passwords.is_empty()),
        anonymous_pull: true,
        ..front::ServerOptions::default()
    };
    Ok(front::serve([TcpListener::bind(listen)?], registry, front)?)
}
