//! Finding the members of a tar without reading their content (row A-18).

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Component, Path};
use std::sync::Arc;

use longshore_spec::Digest;
use longshore_store::{Error, Flaw, Result};
use tar::EntryType;

use crate::files::{self, Region};

/// An archive with more members is refused. This bounds the time and the memory of finding them, some 200
/// bytes each.
const MAX_MEMBERS: usize = 1_000_000;

/// An archive whose names have more bytes together is refused, for the same reason: a name may be as long
/// as a header.
const MAX_NAMES: usize = 128 << 20;

/// The most bytes of a header with its PAX records or long name. The tar crate reads them into memory,
/// whatever size they claim.
pub(super) const MAX_HEADER: u64 = 1 << 20;

/// Where the content of a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) at: u64,
    pub(super) size: u64,
}

/// The members of a tar.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// Members with the path of a blob.
    pub(super) blobs: HashMap<Digest, Extent>,
    /// Members with the path of a part of a blob: the blob, and which part it is.
    pub(super) parts: BTreeMap<(Digest, u32), Extent>,
    /// All other files, by name, which need not be UTF-8 (row A-14).
    pub(super) files: BTreeMap<Vec<u8>, Extent>,
    /// The file that lists where blobs are, if their headers were not read.
    pub(super) listed_by: Option<&'static str>,
}

impl Members {
    /// Reads the headers of the tar in `file`, and seeks over content. `what` names the archive in
    /// errors.
    ///
    /// Refuses absolute names and `..`, links that lead out or that are in place of a file of the layout,
    /// a second member of the same name with other content, and content beyond the end of the file.
    pub(super) fn find(file: &Arc<File>, what: &str) -> Result<Self> {
        let length = file.metadata().map_err(Error::io("open", what))?.len();
        let mut found = Self::default();
        let mut check = MemberCheck { takes_hard_links: true, ..MemberCheck::new(what) };
        let at = Cell::new(0);
        let mut archive = tar::Archive::new(TarReader::new(file, &at));
        let entries = archive.entries_with_seek().map_err(Error::io("read", what))?;
        for (number, entry) in entries.enumerate() {
            let entry =
                entry.map_err(|error| unreadable(what, number, at.get() >= length, error))?;
            let bad_member = |reason: &str| bad_member(what, &entry.path_bytes(), reason);
            let extent = Extent { at: entry.raw_file_position(), size: entry.size() };
            if extent.at.checked_add(extent.size).is_none_or(|end| end > length) {
                let there = length.saturating_sub(extent.at);
                let how = format!(
                    "its member `{}` is cut off: it has {} bytes, and the file ends after {there} of them",
                    escaped(&entry.path_bytes()),
                    extent.size
                );
                return Err(Error::malformed(what, Flaw::CutOff(how)));
            }
            let (name, extent) = match check.member(&entry)? {
                None => continue,
                Some(Member::File(name)) => (name, extent),
                // A second name of an earlier member.
                Some(Member::HardLink { name, target }) => match found.extent(&target) {
                    Some(extent) => (name, extent),
                    None if is_own(&name) => {
                        let target = escaped(&target);
                        let how = format!("is a hard link to `{target}`, which is not before it");
                        return Err(bad_member(&how));
                    }
                    None => continue,
                },
            };
            if name.ends_with(JOURNAL) && extent.size > 0 {
                tracing::warn!(
                    "{what} was made of a layout that a server was writing: the names that it got last \
                     are missing; make it anew when the server has ended, or was started again"
                );
            }
            let earlier = found.insert(name, extent);
            if let Some(earlier) = earlier
                && !same(file, earlier, extent).map_err(Error::io("read", what))?
            {
                return Err(bad_member("is there twice, with different content"));
            }
        }
        Ok(found.without_directory())
    }

    /// Adds a member, and returns the earlier one of its name.
    fn insert(&mut self, name: Vec<u8>, extent: Extent) -> Option<Extent> {
        if let Some(digest) = blob(&name) {
            return self.blobs.insert(digest, extent);
        }
        match part(&name) {
            Some(part) => self.parts.insert(part, extent),
            None => self.files.insert(name, extent),
        }
    }

    fn extent(&self, name: &[u8]) -> Option<Extent> {
        blob(name).map_or_else(|| self.files.get(name), |digest| self.blobs.get(&digest)).copied()
    }

    /// Returns the members of the one directory that holds the layout, if it is not at the top: `tar c
    /// site` makes such archives.
    fn without_directory(self) -> Self {
        if self.files.contains_key(&b"oci-layout"[..]) {
            return self;
        }
        let of_layout = |name: &Vec<u8>| -> Option<Vec<u8>> {
            let directory = name.strip_suffix(b"/oci-layout")?;
            (!directory.contains(&b'/')).then(|| [directory, b"/"].concat())
        };
        let mut directories = self.files.keys().filter_map(of_layout);
        let (Some(directory), None) = (directories.next(), directories.next()) else {
            return self;
        };
        let mut found = Self::default();
        for (name, extent) in self.files {
            let Some(name) = name.strip_prefix(&directory[..]) else { continue };
            found.insert(name.to_owned(), extent);
        }
        found
    }

    /// Returns the content of a file that is not a blob.
    pub(super) fn read(&self, file: &Arc<File>, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some(extent) = self.files.get(name.as_bytes()) else { return Ok(None) };
        if extent.size > limit {
            let what = format!("`{name}` with {} bytes", extent.size);
            return Err(Error::Limit { what, limit: format!("{limit} bytes") });
        }
        // Members that are cut off were refused before.
        let mut bytes = vec![0; usize::try_from(extent.size).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut bytes, extent.at).map_err(Error::io("read", name))?;
        Ok(Some(bytes))
    }
}

/// Checks the members of an archive, one after another.
pub(super) struct MemberCheck<'a> {
    /// What errors call the archive.
    what: &'a str,
    /// Whether the caller can go back to the target of a hard link.
    takes_hard_links: bool,
    members: usize,
    /// How many bytes the names of files have together.
    names: usize,
}

impl<'a> MemberCheck<'a> {
    pub(super) fn new(what: &'a str) -> Self {
        Self { what, takes_hard_links: false, members: 0, names: 0 }
    }

    /// Returns the name of a member that is a file, without `./`. Returns `None` for a member that is of
    /// no interest. Refuses what [`Members::find`] refuses.
    pub(super) fn file(
        &mut self,
        entry: &tar::Entry<'_, impl io::Read>,
    ) -> Result<Option<Vec<u8>>> {
        Ok(match self.member(entry)? {
            Some(Member::File(name)) => Some(name),
            Some(Member::HardLink { .. }) | None => None,
        })
    }

    /// The same, including hard links if they are supported.
    fn member(&mut self, entry: &tar::Entry<'_, impl io::Read>) -> Result<Option<Member>> {
        self.members += 1;
        check(self.what, self.members, self.names)?;
        let kind = entry.header().entry_type();
        if kind.is_pax_global_extensions() {
            // It is about the members that follow, and its name has no meaning.
            return Ok(None);
        }
        let path = entry.path_bytes();
        let bad_member = |reason: &str| bad_member(self.what, &path, reason);
        let Some(name) = normalized(&path).map_err(bad_member)? else { return Ok(None) };
        if kind == EntryType::Link && self.takes_hard_links {
            let target = entry.link_name_bytes().unwrap_or_default();
            let target = normalized(&target)
                .map_err(|_| bad_member("is a link that leads out of the archive"))?;
            self.names += name.len();
            check(self.what, self.members, self.names)?;
            return Ok(target.map(|target| Member::HardLink { name, target }));
        }
        if kind == EntryType::Link && is_own(&name) {
            let member = escaped(&path);
            return Err(Error::malformed(self.what, Flaw::HardLink { member }));
        }
        if matches!(kind, EntryType::Symlink | EntryType::Link) {
            let target = entry.link_name_bytes().unwrap_or_default();
            check_link(&name, kind, &target).map_err(bad_member)?;
            return Ok(None);
        }
        if kind.is_gnu_sparse() {
            return Err(bad_member(
                "is stored as a sparse file; make the archive without `--sparse`",
            ));
        }
        if !kind.is_file() && kind != EntryType::Continuous {
            return Ok(None);
        }
        self.names += name.len();
        check(self.what, self.members, self.names)?;
        Ok(Some(Member::File(name)))
    }
}

/// A member that has content.
enum Member {
    File(Vec<u8>),
    /// A second name of an earlier member.
    HardLink {
        name: Vec<u8>,
        target: Vec<u8>,
    },
}

/// Refuses an archive with more members, or more bytes of names, than are read. Writers check this, too.
/// `what` names the archive in errors.
pub(super) fn check(what: &str, members: usize, names: usize) -> Result<()> {
    if members > MAX_MEMBERS || names > MAX_NAMES {
        let limit = format!("{MAX_MEMBERS} members with {MAX_NAMES} bytes of names");
        return Err(Error::Limit { what: what.to_owned(), limit });
    }
    Ok(())
}

/// Returns the error of the member `path` of the archive `what`.
pub(super) fn bad_member(what: &str, path: &[u8], reason: &str) -> Error {
    let reason = format!("its member `{}` {reason}", escaped(path));
    Error::malformed(what, reason)
}

/// A file with a position of its own for the tar crate.
pub(super) struct TarReader<'a> {
    file: &'a File,
    at: &'a Cell<u64>,
    /// How many bytes were read since the last seek to a header.
    since_seek: u64,
}

impl<'a> TarReader<'a> {
    /// The caller can read the position `at`.
    pub(super) fn new(file: &'a File, at: &'a Cell<u64>) -> Self {
        Self { file, at, since_seek: 0 }
    }
}

impl io::Read for TarReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at.get())?;
        self.at.set(self.at.get() + count as u64);
        self.since_seek += count as u64;
        if self.since_seek > MAX_HEADER {
            let what = "a header of the archive".to_owned();
            return Err(Error::Limit { what, limit: format!("{MAX_HEADER} bytes") }.into());
        }
        Ok(count)
    }
}

impl io::Seek for TarReader<'_> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let target = match to {
            io::SeekFrom::Start(at) => Some(at),
            io::SeekFrom::Current(by) => self.at.get().checked_add_signed(by),
            io::SeekFrom::End(by) => self.file.metadata()?.len().checked_add_signed(by),
        };
        self.at.set(target.ok_or(io::ErrorKind::InvalidInput)?);
        // The tar crate seeks before each header, and a member has at most three headers beside its own.
        self.since_seek = 0;
        Ok(self.at.get())
    }
}

pub(super) fn unreadable(what: &str, number: usize, at_end: bool, error: io::Error) -> Error {
    let error = match Error::from_io("read", what, error) {
        Error::Io { source, .. } => source,
        carried => return carried,
    };
    let reason = match number {
        // The tar crate's error for a file that is not a tar quotes half of the file.
        0 => Flaw::NotATar,
        _ if at_end => {
            Flaw::CutOff(format!("it is cut off within the header of member {}", number + 1))
        }
        _ => {
            let error = escaped(error.to_string().as_bytes());
            format!("the header of member {} cannot be read: {error}", number + 1).into()
        }
    };
    Error::malformed(what, reason)
}

/// Returns text from an archive for an error: short, and with control characters escaped.
pub(super) fn escaped(text: &[u8]) -> String {
    const LENGTH: usize = 300;
    String::from_utf8_lossy(text).chars().take(LENGTH).flat_map(char::escape_debug).collect()
}

/// Returns a member's name without `./`. Returns `None` for the top directory.
fn normalized(path: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
    let mut parts = Vec::new();
    for component in Path::new(OsStr::from_bytes(path)).components() {
        match component {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part.as_bytes()),
            Component::ParentDir => {
                return Err("has `..` in its name, which would lead out of the archive");
            }
            Component::RootDir | Component::Prefix(_) => {
                return Err("has an absolute name, which would lead out of the archive");
            }
        }
    }
    Ok((!parts.is_empty()).then(|| parts.join(&b'/')))
}

/// Allows links between files that do not belong to the layout, as older `docker save` archives have
/// them.
fn check_link(name: &[u8], kind: EntryType, target: &[u8]) -> Result<(), &'static str> {
    if is_own(name) {
        return Err("is a link, where the layout must have a file");
    }
    // A hard link names a member. A symbolic link names a path relative to its own.
    let beside =
        if kind == EntryType::Link { 0 } else { name.split(|byte| *byte == b'/').count() - 1 };
    let mut depth = beside;
    for component in Path::new(OsStr::from_bytes(target)).components() {
        match component {
            Component::CurDir => {}
            Component::Normal(_) => depth += 1,
            Component::ParentDir if depth > 0 => depth -= 1,
            _ => return Err("is a link that leads out of the archive"),
        }
    }
    Ok(())
}

/// The journal of a server, with changes that `index.json` does not have yet.
const JOURNAL: &[u8] = b".longshore/index.journal";

/// Tells whether a name belongs to the layout.
pub(super) fn is_own(name: &[u8]) -> bool {
    let own: [&[u8]; 3] = [b"oci-layout", b"index.json", b"blobs"];
    own.contains(&name) || name.starts_with(b"blobs/")
}

/// Returns the directory of the layout that has this file, with a trailing `/`. It is empty for a file at
/// the top, and for a file that does not belong to a layout.
pub(super) fn directory_of_layout(name: &[u8]) -> Vec<u8> {
    let end = name.iter().position(|byte| *byte == b'/').map_or(0, |at| at + 1);
    if !is_own(name) && is_own(&name[end..]) { name[..end].to_vec() } else { Vec::new() }
}

/// Returns the digest of a member with the path of a blob (rows ).
pub(super) fn blob(name: &[u8]) -> Option<Digest> {
    let name = str::from_utf8(name).ok()?;
    let (algorithm, encoded) = name.strip_prefix("blobs/")?.split_once('/')?;
    format!("{algorithm}:{encoded}").parse().ok()
}

/// Returns the blob and the number of a member with the path of a part, as it is written here.
fn part(name: &[u8]) -> Option<(Digest, u32)> {
    const DIGITS: usize = 4;
    let name = str::from_utf8(name).ok()?;
    let (algorithm, rest) = name.strip_prefix("parts/")?.split_once('/')?;
    let (encoded, number) = rest.rsplit_once('.')?;
    let number = number
        .parse()
        .ok()
        .filter(|_| number.len() == DIGITS && number.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some((format!("{algorithm}:{encoded}").parse().ok()?, number))
}

/// Tells whether two extents hold the same bytes.
fn same(file: &Arc<File>, a: Extent, b: Extent) -> io::Result<bool> {
    if a.size != b.size {
        return Ok(false);
    }
    let [mut a, mut b] = [a, b].map(|extent| Region::new(Arc::clone(file), extent.at, extent.size));
    let [mut left, mut right] = [files::buffer(u64::MAX), files::buffer(u64::MAX)];
    loop {
        let count = a.read(&mut left)?;
        b.read_exact(&mut right[..count])?;
        if left[..count] != right[..count] {
            return Ok(false);
        }
        if count == 0 {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a18_names_are_taken_without_dot_slash_and_never_lead_out() {
        assert_eq!(normalized(b"./blobs//sha256/x"), Ok(Some(b"blobs/sha256/x".to_vec())));
        assert_eq!(normalized(b"caf\xe9"), Ok(Some(b"caf\xe9".to_vec())));
        assert_eq!(normalized(b"./"), Ok(None));
        assert!(normalized(b"../x").is_err());
        assert!(normalized(b"blobs/../../x").is_err());
        assert!(normalized(b"/etc/passwd").is_err());
    }

    #[test]
    fn a18_links_may_not_lead_out_or_stand_for_the_layout() {
        let check =
            |name: &str, kind, target: &str| check_link(name.as_bytes(), kind, target.as_bytes());
        let link = |name, target| check(name, EntryType::Symlink, target);
        assert!(link("abc/layer.tar", "../def/layer.tar").is_ok());
        assert!(link("abc/layer.tar", "../../etc/passwd").is_err());
        assert!(link("abc/layer.tar", "/etc/passwd").is_err());
        assert!(link("index.json", "other.json").is_err());
        assert!(link("blobs/sha256/x", "y").is_err());
        assert!(check("abc/layer.tar", EntryType::Link, "def/layer.tar").is_ok());
        assert!(check("abc/layer.tar", EntryType::Link, "../layer.tar").is_err());
    }

    #[test]
    fn a11_only_names_of_the_digest_grammar_are_blobs() {
        let name = format!("blobs/sha256/{}", Digest::sha256("").encoded());
        assert_eq!(blob(name.as_bytes()), Some(Digest::sha256("")));
        for stray in
            ["blobs/README", "blobs/sha256/.tmp123", &name.to_uppercase(), "blobs/sha256/a/b"]
        {
            assert_eq!(blob(stray.as_bytes()), None, "{stray}");
        }
    }

    #[test]
    fn parts_are_told_from_other_files() {
        let name = format!("parts/sha256/{}", Digest::sha256("").encoded());
        let of = |end: &str| part(format!("{name}{end}").as_bytes());
        assert_eq!(of(".0012"), Some((Digest::sha256(""), 12)));
        for stray in ["", ".", ".1", ".+001", ".00001", ".0001.0002", "/.0001", ".0001x"] {
            assert_eq!(of(stray), None, "{stray}");
        }
    }

    #[test]
    fn what_nobody_would_read_has_too_many_members_or_too_long_names() {
        assert!(check("it", MAX_MEMBERS, MAX_NAMES).is_ok());
        for (members, names) in [(MAX_MEMBERS + 1, 0), (1, MAX_NAMES + 1)] {
            let error = check("it", members, names).unwrap_err().to_string();
            assert!(error.contains("limit of 1000000 members"), "{error}");
        }
    }
}
