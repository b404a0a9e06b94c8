//! What the operating system allows a server.

use std::path::{Path, PathBuf};

use longshore_store::Result;

use crate::args::Serve;
use crate::output::Output;

/// Fails if a layout at `path` could not be written to, so that a server says so before it answers. Nothing
/// is made: what is not there yet appears with the first push.
#[cfg(unix)]
pub(super) fn check_writable(path: &Path) -> Result<()> {
    use longshore_store::Error;
    use rustix::fs::{Access, access};

    let full = std::path::absolute(path).map_err(Error::io("open", path.display()))?;
    let there = full.ancestors().find(|path| path.exists()).unwrap_or(&full);
    let below = ["blobs", ".longshore"].map(|name| full.join(name));
    let below = below.iter().map(PathBuf::as_path).filter(|path| path.exists());
    for directory in below.chain([there]) {
        access(directory, Access::WRITE_OK | Access::EXEC_OK)
            .map_err(|error| Error::io("write to", path.display())(error.into()))?;
    }
    Ok(())
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as elsewhere")]
pub(super) fn check_writable(_: &Path) -> Result<()> {
    Ok(())
}

/// Files that are open besides those of connections: the layout, the log, the runtime's own.
#[cfg(unix)]
const OTHER_FILES: u64 = 64;

/// How many of the files that a server may have open are for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) connections: usize,
    /// Each has its part open.
    pub(super) uploads: usize,
}

/// Of the files that are left, at most one in so many is that of an upload.
#[cfg(unix)]
const UPLOADS: usize = 4;

/// Returns how many connections and uploads may be open: as many as were asked for, if the system
/// allows as many files. As many as it can allow are asked for first.
#[cfg(unix)]
pub(super) fn files(args: &Serve, max_uploads: usize, output: &Output) -> Files {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let wanted = args.max_connections.get();
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let Some(allowed) = allowed else {
        return Files { connections: wanted, uploads: max_uploads };
    };
    // Each request may have a blob open, and what it goes on with.
    let others = OTHER_FILES + 2 * args.max_requests.get() as u64;
    let left = usize::try_from(allowed.saturating_sub(others)).unwrap_or(usize::MAX).max(1);
    let uploads = if args.writable { max_uploads.min(left / UPLOADS).max(1) } else { 0 };
    let left = left.saturating_sub(uploads).max(1);
    if left < wanted {
        output.warning(&format!(
            "the system allows {allowed} open files, so at most {left} connections; `ulimit -n` says more"
        ));
    }
    Files { connections: wanted.min(left), uploads }
}

#[cfg(not(unix))]
pub(super) fn files(args: &Serve, max_uploads: usize, _: &Output) -> Files {
    Files { connections: args.max_connections.get(), uploads: max_uploads }
}
