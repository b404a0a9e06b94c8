//! The password file, as `htpasswd -B` writes it.

use std::collections::HashMap;
use std::fmt;

use bcrypt::HashParts;

/// The highest bcrypt cost. A check takes twice as long with each step: about a second at 14.
const MAX_COST: u32 = 15;

/// Names of users, and the bcrypt hashes of their passwords.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Passwords(HashMap<String, String>);

/// A line of a password file that was skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The number of the line; the first is 1.
    pub line: usize,
    /// What is wrong. The text names the user if the line has one, and shows no hash.
    pub reason: String,
}

impl Passwords {
    /// Reads lines of `NAME:HASH`. Empty lines and lines that begin with `#` are ignored. A hash that is
    /// not bcrypt is refused: whoever gets the file would soon have the password. If a name occurs twice,
    /// the first line counts, as for Apache.
    pub fn parse(text: &str) -> (Self, Vec<Refused>) {
        let (mut passwords, mut refused) = (Self::default(), Vec::new());
        for (index, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Err(reason) = passwords.add(line) {
                refused.push(Refused { line: index + 1, reason });
            }
        }
        (passwords, refused)
    }

    /// Tells whether there are no users.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, line: &str) -> Result<(), String> {
        let (name, hash) = line.split_once(':').ok_or("it is not `NAME:HASH`")?;
        let shown = name.escape_debug();
        if name.is_empty() {
            return Err("the name is empty".to_owned());
        }
        if self.0.contains_key(name) {
            return Err(format!("`{shown}` is there already"));
        }
        if let Some(kind) = other_kind(hash) {
            return Err(format!("the password of `{shown}` is {kind}, not a bcrypt hash"));
        }
        let parts: HashParts = hash
            .parse()
            .map_err(|_| format!("the password of `{shown}` is a broken bcrypt hash"))?;
        if parts.get_cost() > MAX_COST {
            let cost = parts.get_cost();
            return Err(format!("the hash of `{shown}` has cost {cost}; {MAX_COST} is the most"));
        }
        self.0.insert(name.to_owned(), hash.to_owned());
        Ok(())
    }

    /// Returns the hash of a user's password.
    pub(super) fn hash_of(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns the hash of any user, for checks that must take the same time.
    pub(super) fn any_hash(&self) -> Option<&str> {
        self.0.values().next().map(String::as_str)
    }
}

/// Returns what is wrong with a hash that is not bcrypt.
fn other_kind(hash: &str) -> Option<&'static str> {
    let begins = |start| hash.starts_with(start);
    if ["$2a$", "$2b$", "$2x$", "$2y$"].into_iter().any(begins) {
        return None;
    }
    Some(if begins("$apr1$") || begins("$1$") {
        "an MD5 hash"
    } else if begins("{SHA}") {
        "a SHA-1 hash"
    } else if begins("$5$") || begins("$6$") || begins("$y$") {
        "a hash of crypt(3)"
    } else if begins("$") {
        "a hash of another kind"
    } else {
        "a hash of crypt(3), or plain text"
    })
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Passwords(of {})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bcrypt_is_taken_and_the_rest_is_named() {
        let text = "# who may come in\n\nana:$2y$05$UxCuCHzxXzWtzYfGRSpE7eqqDRcwE1QsvP2Q1Q2sPJTRdl1s/9dHq\n\
            bob:$apr1$x$y\ncarl:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\ndan:abJnggxhB/yWI\neve\n\
            fay:$2y$31$UxCuCHzxXzWtzYfGRSpE7eqqDRcwE1QsvP2Q1Q2sPJTRdl1s/9dHq\ngus:$2y$05$short\n\
            ana:$2y$05$UxCuCHzxXzWtzYfGRSpE7eqqDRcwE1QsvP2Q1Q2sPJTRdl1s/9dHq\n:x\nhal:$6$a$b\n";
        let (passwords, refused) = Passwords::parse(text);
        assert_eq!(format!("{passwords:?}"), "Passwords(of 1)");
        assert!(passwords.hash_of("ana").is_some());
        let refused: Vec<_> =
            refused.iter().map(|Refused { line, reason }| format!("{line}: {reason}")).collect();
        assert_eq!(
            refused,
            [
                "4: the password of `bob` is an MD5 hash, not a bcrypt hash",
                "5: the password of `carl` is a SHA-1 hash, not a bcrypt hash",
                "6: the password of `dan` is a hash of crypt(3), or plain text, not a bcrypt hash",
                "7: it is not `NAME:HASH`",
                "8: the hash of `fay` has cost 31; 15 is the most",
                "9: the password of `gus` is a broken bcrypt hash",
                "10: `ana` is there already",
                "11: the name is empty",
                "12: the password of `hal` is a hash of crypt(3), not a bcrypt hash",
            ]
        );
    }
}
