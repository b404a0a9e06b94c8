//! `cargo xtask dist`: the program as one static file, with what a package of it needs.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use longshore_spec::Digest;

use xtask::run::{self, capture, cargo, command, on_path, root};

const PROGRAM: &str = "longshore";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The shells that the program writes completions for, and the file each looks for.
const COMPLETIONS: [(&str, &str); 3] =
    [("bash", "longshore.bash"), ("zsh", "_longshore"), ("fish", "longshore.fish")];

/// How a static program is linked here.
struct Linking {
    target: String,
    flags: &'static [&'static str],
}

/// Builds the program and puts it into `dist/`, beside its digest, completions and man pages.
pub(crate) fn run() -> Result<()> {
    let linking = Linking::choose()?;
    let built = build(&linking)?;
    let dist = root().join("dist");
    fs::create_dir_all(&dist).context("cannot make dist/")?;

    let name = format!("{PROGRAM}-{VERSION}-{}", linking.target);
    let program = dist.join(&name);
    fs::copy(&built, &program).with_context(|| format!("cannot write dist/{name}"))?;
    check_static(&program)?;
    let bytes = fs::read(&program)?;
    let sum = Digest::sha256(&bytes).encoded();
    fs::write(dist.join(format!("{name}.sha256")), format!("{sum}  {name}\n"))?;
    write_completions(&program, &dist.join("completions"))?;
    write_man_pages(&program, &dist.join("man"))?;

    println!("dist/{name}: {} bytes, static, sha256 {sum}", bytes.len());
    Ok(())
}

impl Linking {
    /// Takes musl where this machine can build for it, and glibc linked statically otherwise.
    fn choose() -> Result<Self> {
        let arch = env::consts::ARCH;
        let musl = format!("{arch}-unknown-linux-musl");
        let lib = capture(&mut command("rustc", ["--print", "target-libdir", "--target", &musl]))?;
        let absent = if !Path::new(lib.trim()).is_dir() {
            Some(format!("rust-std for {musl}"))
        } else if on_path("musl-gcc").is_none() {
            // zstd brings C code, which must be compiled against musl's headers too.
            Some("musl-gcc".to_owned())
        } else {
            None
        };
        let Some(absent) = absent else {
            return Ok(Self { target: musl, flags: &[] });
        };
        println!("{absent} is not installed: linking glibc statically");
        let target = format!("{arch}-unknown-linux-gnu");
        Ok(Self { target, flags: &["-Ctarget-feature=+crt-static"] })
    }
}

/// Compiles the program and returns where it lies.
fn build(linking: &Linking) -> Result<PathBuf> {
    // Panic messages carry file names; those of the machine that built the program say nothing
    // to its users, and would make two machines' builds differ.
    let mut flags: Vec<String> = linking.flags.iter().map(ToString::to_string).collect();
    flags.push(format!("--remap-path-prefix={}=.", root().display()));
    if let Some(home) = cargo_home() {
        flags.push(format!("--remap-path-prefix={}=cargo", home.display()));
    }

    let target = linking.target.as_str();
    let args = [
        "build",
        "--locked",
        "--profile",
        "dist",
        "--package",
        "longshore-cli",
        "--target",
        target,
    ];
    let mut command = cargo(args);
    command
        .arg("--config")
        .arg(format!("target.{target}.rustflags={}", serde_json::to_string(&flags)?));
    // Either would take the place of the flags that are set here.
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    run::run(&mut command)?;
    Ok(target_directory()?.join(target).join("dist").join(PROGRAM))
}

fn cargo_home() -> Option<PathBuf> {
    let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".cargo"));
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home)
}

fn target_directory() -> Result<PathBuf> {
    #[derive(serde::Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let args = ["metadata", "--format-version", "1", "--no-deps", "--offline"];
    let metadata: Metadata = serde_json::from_str(&capture(&mut cargo(args))?)?;
    Ok(metadata.target_directory)
}

/// Fails if the program needs a library of the machine that it runs on.
fn check_static(program: &Path) -> Result<()> {
    // ldd complains of a static program on standard error and fails, so both are read and the
    // status is not.
    let output = command("ldd", [program]).output().context("cannot run ldd")?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    if !["statically linked", "not a dynamic executable"].iter().any(|fact| said.contains(fact)) {
        bail!("{} is not static; ldd says:\n{said}", program.display());
    }
    Ok(())
}

fn write_completions(program: &Path, directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)?;
    for (shell, file) in COMPLETIONS {
        let script = capture(&mut command(program, ["completions", shell]))?;
        if script.is_empty() {
            bail!("`{PROGRAM} completions {shell}` wrote nothing");
        }
        fs::write(directory.join(file), script)?;
    }
    Ok(())
}

fn write_man_pages(program: &Path, directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)?;
    capture(command(program, ["man"]).arg(directory))?;
    if fs::read_dir(directory)?.next().is_none() {
        bail!("`{PROGRAM} man` wrote no pages");
    }
    Ok(())
}
