//! Parts of blobs that are longer than an archive may be, and an archive whose head is known last.
//!
//! A blob goes from archive to archive while it is read once: what has hashed it so far is handed from part to
//! part. The digests of parts stand in files before the content, so these are written when all parts are there.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;

use longshore_spec::{Descriptor, Digest, Hasher};
use longshore_store::{Blob, Error, Outline, OutlinePart, Result};

use super::{ArchiveWriter, Claim, Filling, State};
use crate::archive::journal::Progress;
use crate::archive::tar_layout::{Slot, TarLayout, part_header};
use crate::archive::unannounced;
use crate::files::{self, Region};
use crate::resume::Partial as _;

impl ArchiveWriter {
    /// Writes a part of a blob that was announced. `before` has seen all bytes of the blob before it. Returns the
    /// sha256 of the part, and what has seen all bytes up to its end: `None` after the last part, when the blob
    /// is proven. Bytes that an earlier run left are read again from here, and not from the source.
    ///
    /// # Errors
    ///
    /// All that reading and writing a blob fails with. If the blob proves wrong, its other parts are not known to
    /// be right either: see [`ArchiveWriter::forget_part`].
    pub fn push_part(
        &self,
        blob: &dyn Blob,
        part: u32,
        before: Hasher,
    ) -> Result<(Digest, Option<Hasher>)> {
        let filling = self.filling()?;
        let (number, slot, part) = self.part(&filling, &blob.descriptor().digest, part)?;
        let mut hashers = PartHashers { own: Hasher::sha256(), blob: Some(before) };
        match filling.claim(number, slot, &self.partial) {
            None => hashers.read(&filling.file, slot.content, slot.size)?,
            Some(mut claim) => {
                hashers = filling
                    .journal
                    .writing(|| claim.fill_part(blob, &part_header(part), hashers))?;
                let rest = slot.size.min(files::PIECE as u64);
                drop(claim);
                filling.journal.note(&filling.file, number, Progress::Done, rest)?;
            }
        }
        hashers.finish(blob.descriptor())
    }

    /// Lets go of a part that was written, since its blob proved wrong: the next run begins it anew.
    ///
    /// # Errors
    ///
    /// It was not announced, or the journal cannot be written.
    pub fn forget_part(&self, blob: &Digest, part: u32) -> Result<()> {
        let filling = self.filling()?;
        let (number, ..) = self.part(&filling, blob, part)?;
        filling.states()[number as usize] = State::Begun(0);
        filling.journal.note(&filling.file, number, Progress::Bytes(0), 0)
    }

    fn part<'f>(
        &self,
        filling: &'f Filling,
        blob: &Digest,
        part: u32,
    ) -> Result<(u32, Slot, &'f OutlinePart)> {
        filling.layout.part(blob, part).ok_or_else(|| {
            let what = format!("is an archive, and part {part} of {blob} was not announced to it");
            unannounced(self.label(), what)
        })
    }

    /// Writes everything before the content anew: that of `outline`, whose files say by now what was not known
    /// when the archive was begun, in as many bytes.
    ///
    /// # Errors
    ///
    /// The content of `outline` would lie elsewhere, or the archive cannot be written.
    pub fn seal(&self, outline: &Outline) -> Result<()> {
        let filling = self.filling()?;
        let sealed = TarLayout::new(outline)?;
        if sealed.slots != filling.layout.slots || sealed.length != filling.layout.length {
            return Err(unannounced(
                self.label(),
                "is an archive, and is sealed with another outline",
            ));
        }
        let mut at = 0;
        for piece in sealed.head.pieces() {
            filling.file.write_all_at(piece, at).map_err(self.writing())?;
            at += piece.len() as u64;
        }
        Ok(())
    }
}

impl Claim<'_> {
    /// Writes a part of a blob into its slot, after the bytes that are there already.
    fn fill_part(
        &mut self,
        blob: &dyn Blob,
        header: &[u8],
        mut hashers: PartHashers,
    ) -> Result<PartHashers> {
        let Self { filling: Filling { file, .. }, slot, path, .. } = *self;
        let write = |bytes: &[u8], at| {
            file.write_all_at(bytes, at).map_err(Error::io("write", path.display()))
        };
        write(header, slot.header)?;
        let there = if let State::Begun(there) = self.state { there.min(slot.size) } else { 0 };
        hashers.read(file, slot.content, there)?;
        self.keep(there)?;
        if there < slot.size {
            let filled = self.append_part(blob, there, &mut hashers);
            if filled.as_ref().is_err_and(Error::is_corruption) {
                self.keep(0)?;
            }
            filled?;
        }
        write(slot.padding(), slot.content + slot.size)?;
        self.state = State::There;
        Ok(hashers)
    }

    /// Writes the bytes of a part from byte `start` of it on.
    fn append_part(
        &mut self,
        blob: &dyn Blob,
        start: u64,
        hashers: &mut PartHashers,
    ) -> Result<()> {
        let mut reader = blob.open(hashers.blob.take())?;
        let mut buffer = files::buffer(self.slot.size - start);
        let mut done = start;
        while done < self.slot.size {
            let left = usize::try_from(self.slot.size - done).unwrap_or(usize::MAX);
            let wanted = left.min(buffer.len());
            let count = reader.read(&mut buffer[..wanted]);
            let count = count.map_err(Error::io("read", &blob.descriptor().digest))?;
            let piece = &buffer[..count];
            // A blob that ends early is an error of its reader.
            hashers.own.update(piece);
            let wrote = self.filling.file.write_all_at(piece, self.slot.content + done);
            wrote.map_err(Error::io("write", self.path.display()))?;
            done += count as u64;
            self.wrote(done, count as u64)?;
        }
        hashers.blob = reader.prefix();
        Ok(())
    }
}

/// What has seen a part, and what has seen its blob so far.
struct PartHashers {
    own: Hasher,
    /// `None` once the blob is proven.
    blob: Option<Hasher>,
}

impl PartHashers {
    /// Hashes bytes that are written already.
    fn read(&mut self, file: &File, at: u64, length: u64) -> Result<()> {
        let region = Region::new(file, at, length);
        files::each_piece(region, length, Error::io("read", "a part of a blob"), |piece| {
            self.own.update(piece);
            if let Some(blob) = &mut self.blob {
                blob.update(piece);
            }
            Ok(())
        })
    }

    /// Returns the digest of the part, and what goes on with the next one; proves the blob if there is none.
    fn finish(self, of: &Descriptor) -> Result<(Digest, Option<Hasher>)> {
        let Self { own, blob } = self;
        match blob {
            // All of it was there, and no reader has proven it.
            Some(blob) if blob.count() >= of.size => {
                let actual = blob.finish();
                if actual != of.digest {
                    return Err(Error::Corrupt { expected: of.digest.clone(), actual });
                }
                Ok((own.finish(), None))
            }
            blob => Ok((own.finish(), blob)),
        }
    }
}
