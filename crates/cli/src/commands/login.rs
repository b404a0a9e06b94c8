//! `login` and `logout`: what registries are shown, kept for later.

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use longshore_remote::credentials::Credential;
use longshore_remote::{CredentialCheck, Secret};
use longshore_store::Error;

use crate::args::{Login, Logout};
use crate::documents::LoginDocument as Document;
use crate::output::Output;
use crate::problem::{Exit, Problem};
use crate::registries::{self, Registries};

/// A password of more bytes than this is not one.
const MAX_PASSWORD: u64 = 64 << 10;

pub(crate) fn login(args: &Login, output: &Output) -> Result<Exit, Problem> {
    tracing::debug!("asking {}, whether it takes the password", args.registry);
    let (username, password) = ask(args)?;
    let credential = Credential::Password { username, password };
    // Kept only if the registry takes it.
    let registries = Registries::new(&args.reach).with(credential.clone());
    let tried = registries.registry(&args.registry)?.try_credential();
    let tried = tried.map_err(|error| match error {
        Error::Denied { .. } => Problem::of(error)
            .because(Exit::Failed)
            .hint("check name and password; nothing was saved"),
        error => Problem::of(error).because(Exit::Failed),
    })?;
    let file = registries::login_file(&args.reach)?;
    if tried == CredentialCheck::NotAsked {
        let host = &args.registry;
        output.warning(&format!("{host} asked for no password, so this one was not checked"));
    }
    registries::files([file.clone()]).store(&args.registry, &credential).map_err(Problem::of)?;
    let document = Document { registry: args.registry.clone(), file: file.display().to_string() };
    output.summary(&document, || {
        format!("logged in to {}; the password is kept by {}\n", document.registry, document.file)
    })?;
    Ok(Exit::Done)
}

pub(crate) fn logout(args: &Logout, output: &Output) -> Result<Exit, Problem> {
    let file = registries::login_file(&args.reach)?;
    tracing::debug!("taking {} out of {}", args.registry, file.display());
    let erased = registries::files([file.clone()]).erase(&args.registry).map_err(Problem::of)?;
    let document = Document { registry: args.registry.clone(), file: file.display().to_string() };
    if !erased {
        let text = format!("{} has no password for {}", document.file, document.registry);
        return Err(Problem::new(Exit::Usage, text).hint("--authfile names another file"));
    }
    output.summary(&document, || {
        format!(
            "logged out of {}; {} has forgotten the password\n",
            document.registry, document.file
        )
    })?;
    Ok(Exit::Done)
}

/// Returns name and password: as typed, or asked for on a terminal.
fn ask(args: &Login) -> Result<(String, Secret), Problem> {
    let unreadable = |error: std::io::Error| {
        Problem::new(Exit::Usage, format!("cannot read the password: {error}"))
    };
    let is_terminal = std::io::stdin().is_terminal();
    let hint = "give --username NAME and --password-stdin";
    if !is_terminal && !args.password_stdin {
        let text = "there is no terminal to ask for a password on";
        return Err(Problem::new(Exit::Usage, text).hint(hint));
    }
    let username = match &args.username {
        Some(username) => username.clone(),
        None if args.password_stdin => {
            return Err(Problem::new(Exit::Usage, "the name is missing").hint(hint));
        }
        None => {
            let mut line = String::new();
            Output::prompt("Username: ");
            std::io::stdin().lock().read_line(&mut line).map_err(unreadable)?;
            line.trim_end_matches(['\r', '\n']).to_owned()
        }
    };
    let password = if args.password_stdin {
        let mut text = String::new();
        std::io::stdin().take(MAX_PASSWORD).read_to_string(&mut text).map_err(unreadable)?;
        text.trim_end_matches(['\r', '\n']).to_owned()
    } else {
        rpassword::prompt_password("Password: ").map_err(unreadable)?
    };
    if username.is_empty() || password.is_empty() {
        return Err(Problem::new(Exit::Usage, "name and password must not be empty").hint(hint));
    }
    Ok((username, Secret::new(password)))
}
