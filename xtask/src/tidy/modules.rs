//! The modules of a crate, what each defines, and in which file a path ends.

use std::collections::{BTreeMap, BTreeSet};

use super::tokens::Token;
use super::tree::{File, Tree};

/// How many `use` declarations a name is followed through.
const MOST_ALIASES: usize = 16;

/// Where a module stands: the names on the way from the root of its crate.
pub(super) type ModulePath<'t> = Vec<&'t str>;

/// A crate: its modules that are files. Two roots (`lib.rs` and `main.rs`) are taken as one.
pub(super) struct Crate<'t> {
    pub(super) directory: &'t str,
    pub(super) modules: BTreeMap<ModulePath<'t>, Module<'t>>,
}

/// A file.
pub(super) struct Module<'t> {
    pub(super) file: &'t File,
    pub(super) tokens: Vec<Token<'t>>,
    /// What is defined in it, modules inside of it too.
    items: BTreeSet<&'t str>,
    pub(super) imports: Vec<Import<'t>>,
}

/// One name that a `use` brings in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Import<'t> {
    pub(super) path: Vec<Token<'t>>,
    /// What it is called here, `*` for all names of a module.
    name: &'t str,
    pub(super) is_public: bool,
}

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
enum Found<'t> {
    Module(ModulePath<'t>),
    /// Something of that name, which this module defines.
    Item(ModulePath<'t>, &'t str),
}

/// Something that a file uses of another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Usage<'t> {
    pub(super) user: ModulePath<'t>,
    pub(super) used: ModulePath<'t>,
    pub(super) name: &'t str,
}

/// Returns the crates of the tree.
pub(super) fn crates(tree: &Tree) -> Vec<Crate<'_>> {
    let mut crates: BTreeMap<&str, Crate> = BTreeMap::new();
    for file in tree.sources() {
        let Some((directory, path)) = file.path.split_once("/src/") else { continue };
        let Some(path) = path.strip_suffix(".rs").filter(|path| !path.ends_with("tests")) else {
            continue;
        };
        let mut path: Vec<_> = path.split('/').collect();
        if matches!(path.last(), Some(&"mod" | &"lib" | &"main")) {
            path.pop();
        }
        let of = crates
            .entry(directory)
            .or_insert_with(|| Crate { directory, modules: BTreeMap::new() });
        of.modules.insert(path, Module::new(file));
    }
    crates.into_values().collect()
}

impl<'t> Module<'t> {
    fn new(file: &'t File) -> Self {
        let mut module =
            Self { file, tokens: Vec::new(), items: BTreeSet::new(), imports: Vec::new() };
        let tokens = file.product_tokens();
        let mut depth = 0_usize;
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let before = at.checked_sub(1).map_or("", |before| tokens[before].text);
            let next = tokens.get(at + 1);
            match token.text {
                "use"
                    if before != "::"
                        && !matches!(next, Some(next) if "<>,".contains(next.text)) =>
                {
                    let is_public = matches!(before, "pub" | ")");
                    at = module.import(&tokens, at + 1, is_public);
                    continue;
                }
                "struct" | "enum" | "union" | "trait" | "fn" | "const" | "static" | "type"
                | "mod"
                    if depth == 0 =>
                {
                    let is_file = token.text == "mod"
                        && tokens.get(at + 2).is_some_and(|token| token.text == ";");
                    module.items.extend(
                        next.filter(|next| next.is_word() && !is_file).map(|next| next.text),
                    );
                }
                "macro_rules" => module.items.extend(tokens.get(at + 2).map(|name| name.text)),
                "{" => depth += 1,
                "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            module.tokens.push(*token);
            at += 1;
        }
        module
    }

    /// Reads a `use` from behind that word, and returns the index behind its `;`.
    fn import(&mut self, tokens: &[Token<'t>], mut at: usize, is_public: bool) -> usize {
        let mut path: Vec<Token> = Vec::new();
        let mut outer: Vec<usize> = Vec::new();
        let mut alias = None;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match token.text {
                "::" => {}
                "{" => outer.push(path.len()),
                "as" => {
                    alias = tokens.get(at).map(|name| name.text);
                    at += 1;
                }
                "," | "}" | ";" => {
                    let start = outer.last().copied().unwrap_or_default();
                    if path.len() > start {
                        let import = Import::new(&path, alias.take(), is_public);
                        self.imports.push(import);
                    }
                    path.truncate(start);
                    match token.text {
                        "}" => {
                            outer.pop();
                            path.truncate(outer.last().copied().unwrap_or_default());
                        }
                        ";" => break,
                        _ => {}
                    }
                }
                _ => path.push(*token),
            }
        }
        at
    }
}

impl<'t> Import<'t> {
    fn new(path: &[Token<'t>], alias: Option<&'t str>, is_public: bool) -> Self {
        let mut path = path.to_vec();
        if path.len() > 1 && matches!(path.last(), Some(last) if matches!(last.text, "self" | "*"))
        {
            let is_glob = path.pop().is_some_and(|last| last.text == "*");
            if is_glob {
                return Self { path, name: "*", is_public };
            }
        }
        let name = alias.or(path.last().map(|last| last.text)).unwrap_or_default();
        Self { path, name, is_public }
    }
}

impl<'t> Crate<'t> {
    /// Returns what each file uses of others. A re-export is no use, unless the file itself uses the name
    /// too; a path through re-exports ends where the item is defined.
    pub(super) fn usages(&self) -> BTreeSet<Usage<'t>> {
        let mut usages = BTreeSet::new();
        for (user, module) in &self.modules {
            let imports = module.imports.iter().filter(|import| !import.is_public);
            let imports = imports.map(|import| import.path.clone());
            for path in imports.chain(paths(&module.tokens)) {
                let Some(Found::Item(used, name)) = self.find(user, &path, 0) else { continue };
                if used != *user {
                    usages.insert(Usage { user: user.clone(), used, name });
                }
            }
        }
        usages
    }

    /// Follows a path that stands in a module.
    fn find(&self, from: &[&'t str], path: &[Token<'t>], aliases: usize) -> Option<Found<'t>> {
        let mut rest = path;
        let mut at = from.to_vec();
        let mut is_ours = false;
        while let [first, behind @ ..] = rest {
            match first.text {
                "crate" => at.clear(),
                "self" => {}
                "super" => drop(at.pop()),
                _ => break,
            }
            is_ours = true;
            rest = behind;
        }
        while let [first, behind @ ..] = rest {
            match self.look_up(&at, first.text, behind.is_empty(), aliases) {
                Some(Found::Module(module)) => at = module,
                Some(item) => return Some(item),
                None => return is_ours.then_some(Found::Item(at, first.text)),
            }
            is_ours = true;
            rest = behind;
        }
        is_ours.then_some(Found::Module(at))
    }

    /// Looks for a name in a module. The last name of a path is rather an item than a module.
    fn look_up(
        &self,
        at: &[&'t str],
        name: &'t str,
        is_last: bool,
        aliases: usize,
    ) -> Option<Found<'t>> {
        let below = [at, &[name]].concat();
        let below = self.modules.contains_key(&below).then_some(Found::Module(below));
        if below.is_some() && !is_last {
            return below;
        }
        let Some(module) = self.modules.get(at) else { return below };
        if module.items.contains(name) {
            return Some(Found::Item(at.to_vec(), name));
        }
        if aliases == MOST_ALIASES {
            return below;
        }
        let mut named = module.imports.iter().filter(|import| import.name == name);
        let named = named.find_map(|import| self.find(at, &import.path, aliases + 1));
        if named.is_some() {
            return named;
        }
        let globs = module.imports.iter().filter(|import| import.name == "*");
        let mut all =
            globs.filter_map(|import| match self.find(at, &import.path, aliases + 1)? {
                Found::Module(module) if module != at => {
                    self.look_up(&module, name, is_last, aliases + 1)
                }
                _ => None,
            });
        below.or_else(|| all.next())
    }
}

/// Returns the paths in code, those of a single name too.
fn paths<'t>(tokens: &[Token<'t>]) -> Vec<Vec<Token<'t>>> {
    let mut paths = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let before = at.checked_sub(1).map_or("", |before| tokens[before].text);
        at += 1;
        if !token.is_word() || matches!(before, "." | "::" | "fn" | "mod" | "'") {
            continue;
        }
        let mut path = vec![*token];
        while let [separator, name, ..] = &tokens[at..]
            && separator.text == "::"
            && name.is_word()
        {
            path.push(*name);
            at += 2;
        }
        paths.push(path);
    }
    paths
}
