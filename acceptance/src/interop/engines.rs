//! Container engines: podman and containerd pull from our registry and push to it.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use longshore_fixture::{Content, artifacts};

use super::Outcome;
use super::ground::Ground;
use crate::run::{capture, shown};
use crate::server::{ANY_PORT, Server};

/// The names of the images in our registry, as if they had been copied from Docker Hub.
const INDEX: &str = "docker.io/library/index:v1";
const IMAGE: &str = "docker.io/library/image:v1";

/// How long containerd may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves a layout with an image, and an index of images for several platforms.
fn images(ground: &Ground<'_>) -> Result<Server> {
    let mut content = Content::new();
    let index = artifacts::multi_platform(&mut content, 1);
    content.tag(&index, INDEX);
    let image = artifacts::image(&mut content, 2);
    content.tag(&image, IMAGE);
    ground.layout("images", &content)?;
    ground.serve("images", ANY_PORT, &["--writable"])
}

/// Returns the digest of an artifact in the registry, by its name.
fn digest(ground: &Ground<'_>, server: &Server, name: &str) -> Result<String> {
    Ok(ground.ours(&["digest", &server.place(name)])?.trim().to_owned())
}

/// podman pulls both, and pushes the image back.
pub(super) fn podman(ground: &Ground<'_>) -> Result<Outcome> {
    let server = images(ground)?;
    let [root, state] = ["root", "state"].map(|name| ground.path(name).display().to_string());
    let podman = |args: &[&str]| {
        let store = ["--storage-driver", "vfs", "--root", &root, "--runroot", &state];
        capture(&mut ground.peer_command("podman", &[&store[..], args].concat()))
    };
    for name in ["library/image:v1", "library/index:v1"] {
        podman(&["pull", "--quiet", "--tls-verify=false", &server.place(name)])?;
    }
    let [from, to] = ["library/image:v1", "pushed/image:v1"].map(|name| server.place(name));
    podman(&["push", "--quiet", "--tls-verify=false", &from, &to])?;
    // podman compresses layers again, so the manifest differs; the same config shows the same image.
    let config = |place: &str| ground.ours(&["inspect", "--config", place]);
    ensure!(config(&from)? == config(&to)?, "{to} has another config than {from}");
    drop(server);
    ground.verified("oci:images")?;
    Ok(Outcome::Passed("an image and an index pulled, an image pushed".to_owned()))
}

/// containerd pulls both, the image by its name on Docker Hub with our registry as a mirror, and pushes
/// the image.
pub(super) fn containerd(ground: &Ground<'_>) -> Result<Outcome> {
    let server = images(ground)?;
    let engine = Containerd::start(ground)?;
    let base = format!("http://{}", server.address());
    let hosts = ground.path("hosts");
    fs::create_dir_all(hosts.join("docker.io"))?;
    fs::write(
        hosts.join("docker.io/hosts.toml"),
        format!("[host.\"{base}\"]\n  capabilities = [\"pull\", \"resolve\"]\n"),
    )?;
    let hosts = hosts.display().to_string();
    let index = server.place("library/index:v1");
    // The native snapshotter only copies files; others need certain file systems or mounts.
    let native = ["images", "pull", "--snapshotter", "native"];
    engine.ctr(&[&native[..], &["--plain-http", &index]].concat())?;
    engine.ctr(&[&native[..], &["--hosts-dir", &hosts, IMAGE]].concat())?;
    let listed = engine.ctr(&["images", "list"])?;
    for (name, served) in [(index.as_str(), "library/index:v1"), (IMAGE, "library/image:v1")] {
        let line = listed.lines().find(|line| line.split_whitespace().next() == Some(name));
        let line = line.with_context(|| format!("containerd has no {name}:\n{listed}"))?;
        let wanted = digest(ground, &server, served)?;
        ensure!(line.contains(&wanted), "{name} is to be {wanted}, and containerd has\n{line}");
    }
    let pushed = server.place("pushed/image:v1");
    engine.ctr(&["images", "push", "--plain-http", &pushed, IMAGE])?;
    let [before, after] =
        ["library/image:v1", "pushed/image:v1"].map(|name| digest(ground, &server, name));
    let (before, after) = (before?, after?);
    ensure!(before == after, "containerd pulled {before} and pushed {after}");
    drop((engine, server));
    ground.verified("oci:images")?;
    Ok(Outcome::Passed("an index pulled, an image pulled through a mirror and pushed".to_owned()))
}

/// A containerd for one check, which is killed when this is dropped.
struct Containerd<'g> {
    ground: &'g Ground<'g>,
    child: Child,
}

impl<'g> Containerd<'g> {
    fn start(ground: &'g Ground<'g>) -> Result<Self> {
        let path = |name: &str| ground.path(name).display().to_string();
        let config = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = {:?}\n",
            path("root"),
            path("state"),
            path("socket"),
        );
        fs::write(ground.path("config.toml"), config)?;
        let log = fs::File::create(ground.path("containerd.log"))?;
        let mut command = ground.peer_command("containerd", &["--config", "config.toml"]);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot run `{}`", shown(&command)))?;
        let mut engine = Self { ground, child };
        let begun = Instant::now();
        while engine.ctr(&["version"]).is_err() {
            if engine.child.try_wait()?.is_some() || begun.elapsed() > PATIENCE {
                let log = fs::read_to_string(ground.path("containerd.log")).unwrap_or_default();
                bail!("containerd does not answer\n{log}");
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(engine)
    }

    fn ctr(&self, args: &[&str]) -> Result<String> {
        let mut command: Command = self.ground.peer_command("ctr", &["--address", "socket"]);
        capture(command.args(args))
    }
}

impl Drop for Containerd<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
