//! Files of a crate that import each other. A module may use its own parts, and they may use it: they are one thing in
//! several files. Between any others the imports lead one way.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::{algo::tarjan_scc, graph::DiGraph};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::{Source, none, sources};

/// The place of a file in its crate: `["http", "page"]` for `src/http/page.rs`, nothing for `src/lib.rs`.
type Module = Vec<String>;

pub fn imports_lead_one_way() {
    let mut crates: BTreeMap<String, BTreeMap<Module, String>> = BTreeMap::new();
    for source in sources() {
        if let Some((package, module)) = place(&source) {
            crates.entry(package).or_default().insert(module, source.text);
        }
    }
    let found = crates.iter().flat_map(|(package, files)| {
        circles(files).into_iter().map(move |circle| format!("{package}: {}", circle.join(", ")))
    });
    none(
        found.collect(),
        "these files import each other: move what both need into a file that imports neither, or turn the import that \
         is against the order of `mod` lines",
    );
}

/// The crate and the module of a file; tests and what is written for authors are left out.
fn place(source: &Source) -> Option<(String, Module)> {
    let (package, path) = source.path.split_once("/src/")?;
    let path = path.strip_suffix(".rs")?;
    let module: Module = match path {
        "lib" => Vec::new(),
        _ => path.split('/').map(str::to_owned).collect(),
    };
    let is_apart = module.iter().any(|name| matches!(name.as_str(), "tests" | "template"));
    (!is_apart).then(|| (package.to_owned(), module))
}

/// Each circle, as the imports that close it: among files that are no parts of each other; and, with what modules use of
/// their own parts, among files that are not all parts of one of them.
fn circles(files: &BTreeMap<Module, String>) -> Vec<Vec<String>> {
    let mut edges: BTreeSet<(&Module, &Module)> = BTreeSet::new();
    for (from, text) in files {
        for path in paths(text, &parts_of(from, files)) {
            let to = files.get_key_value(&resolve(from, &path, files)).map(|(to, _)| to);
            edges.extend(
                to.filter(|to| *to != from && !from.is_empty() && !to.is_empty()).map(|to| (from, to)),
            );
        }
    }
    let apart: BTreeSet<_> = edges.iter().copied().filter(|(from, to)| !to.starts_with(from)).collect();
    let is_one = |circle: &BTreeSet<&Module>| {
        circle.iter().any(|whole| circle.iter().all(|part| part.starts_with(whole)))
    };
    let mut found = circles_of(&apart);
    let crossing = circles_of(&edges).into_iter().filter(|circle| !is_one(circle));
    found.extend(
        crossing.filter(|circle| found.iter().all(|known| known.is_disjoint(circle))).collect::<Vec<_>>(),
    );
    let told = |circle: BTreeSet<&Module>| {
        let inner = edges.iter().filter(|(from, to)| circle.contains(from) && circle.contains(to));
        inner.map(|(from, to)| format!("{} -> {}", from.join("::"), to.join("::"))).collect()
    };
    found.into_iter().map(told).collect()
}

/// The modules of each circle.
fn circles_of<'m>(edges: &BTreeSet<(&'m Module, &'m Module)>) -> Vec<BTreeSet<&'m Module>> {
    let modules: BTreeSet<&Module> = edges.iter().flat_map(|(from, to)| [*from, *to]).collect();
    let modules: Vec<&Module> = modules.into_iter().collect();
    let number = |module: &Module| modules.binary_search(&module).expect("it is one of them");
    let numbers = edges.iter().map(|(from, to)| (number(from), number(to)));
    let parts = tarjan_scc(&DiGraph::<(), (), usize>::from_edges(numbers));
    let circles = parts.into_iter().filter(|part| part.len() > 1);
    circles.map(|part| part.into_iter().map(|node| modules[node.index()]).collect()).collect()
}

/// The file that a path leads to: as deep as there are files.
fn resolve(from: &Module, path: &[String], files: &BTreeMap<Module, String>) -> Module {
    let mut module = from.clone();
    let mut segments = path.iter();
    for segment in segments.by_ref() {
        match segment.as_str() {
            "crate" => module.clear(),
            "self" => {}
            "super" => _ = module.pop(),
            _ => {
                module.push(segment.clone());
                break;
            }
        }
    }
    module.extend(segments.cloned());
    while !files.contains_key(&module) && module.pop().is_some() {}
    module
}

/// The names of a module's own parts.
fn parts_of(module: &Module, files: &BTreeMap<Module, String>) -> BTreeSet<String> {
    let parts = files.keys().filter(|file| file.len() == module.len() + 1 && file.starts_with(module));
    parts.filter_map(|part| part.last().cloned()).collect()
}

/// Every path that a file names from the crate, from the module itself or from one of its parts; its tests left out.
fn paths(text: &str, parts: &BTreeSet<String>) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    collect(text.parse().expect("a file of the repository is Rust"), &[], parts, &mut found);
    found
}

/// The paths of some tokens, each after what stands before the group that it is in.
fn collect(tokens: TokenStream, before: &[String], parts: &BTreeSet<String>, found: &mut Vec<Vec<String>>) {
    let mut path: Vec<String> = before.to_vec();
    let mut after_colons = false;
    let mut is_test = false;
    for token in tokens {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == ':' => after_colons = true,
            TokenTree::Ident(ident) => {
                let name = ident.to_string();
                if !after_colons {
                    end(&mut path, before, is_test, found);
                }
                let begins = matches!(name.as_str(), "crate" | "super" | "self")
                    || (path.is_empty() && !after_colons && parts.contains(&name));
                if begins || (!path.is_empty() && (after_colons || !before.is_empty())) {
                    path.push(name);
                }
                after_colons = false;
            }
            // A test's own import or signature, up to its end.
            TokenTree::Group(group) if is_test && group.delimiter() != Delimiter::Bracket => {
                is_test = group.delimiter() != Delimiter::Brace || after_colons;
                (path, after_colons) = (before.to_vec(), false);
            }
            TokenTree::Group(group) => {
                let is_tree = after_colons && group.delimiter() == Delimiter::Brace && !path.is_empty();
                let inner = group.stream();
                let is_attribute = group.delimiter() == Delimiter::Bracket;
                if is_attribute && is_of_tests(&inner) {
                    is_test = true;
                } else if is_tree {
                    collect(inner, &path, parts, found);
                    path = before.to_vec();
                } else {
                    end(&mut path, before, is_test, found);
                    collect(inner, &[], parts, found);
                }
                after_colons = false;
            }
            TokenTree::Punct(punct) => {
                end(&mut path, before, is_test, found);
                is_test &= punct.as_char() != ';';
                after_colons = false;
            }
            TokenTree::Literal(_) => end(&mut path, before, is_test, found),
        }
    }
    end(&mut path, before, is_test, found);
}

/// `cfg(test)`, alone or with more.
fn is_of_tests(attribute: &TokenStream) -> bool {
    let text = attribute.to_string().replace(' ', "");
    text == "cfg(test)" || text.starts_with("cfg(all(test,") || text.starts_with("cfg(any(test,")
}

/// A path is over; the next begins with what stands before the group. Those of tests are not kept.
fn end(path: &mut Vec<String>, before: &[String], is_test: bool, found: &mut Vec<Vec<String>>) {
    if !is_test && path.len() > before.len() && path.len() > 1 {
        found.push(path.clone());
    }
    *path = before.to_vec();
}

/// What a circle looks like, and what is none.
pub fn circles_of_imports_are_found() {
    let files = |pairs: &[(&str, &str)]| -> BTreeMap<Module, String> {
        let module =
            |path: &str| path.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        pairs.iter().map(|(path, text)| (module(path), (*text).to_owned())).collect()
    };
    let check = |pairs: &[(&str, &str)], expected: &[&str]| {
        let found: Vec<String> = circles(&files(pairs)).iter().map(|circle| circle.join(", ")).collect();
        assert_eq!(found, expected, "{pairs:?}");
    };
    check(
        &[("one", "use super::two::Two;"), ("two", "use crate::{one::{self, One}, three};"), ("three", "")],
        &["one -> two, two -> one"],
    );
    check(
        &[("a", "fn f() { crate::b::g(); }"), ("b", "use crate::c::C;"), ("c", "pub use super::a::A;")],
        &["a -> b, b -> c, c -> a"],
    );
    // A module and its part, an import of the tests, words in comments and texts.
    check(&[("a", "mod b; use b::B;"), ("a/b", "use super::A;")], &[]);
    check(
        &[("a", "mod b; use b::B;"), ("a/b", "use crate::c::C;"), ("c", "use crate::a::A;")],
        &["a -> a::b, a::b -> c, c -> a"],
    );
    check(&[("a", "use crate::b::B;"), ("b", "#[cfg(test)] mod tests { use crate::a::A; }")], &[]);
    check(&[("a", "use crate::b::B;"), ("b", "#[cfg(test)] use crate::a::{A};\nfn f() {}")], &[]);
    check(&[("a", "use crate::b::B;"), ("b", "#[cfg(test)] fn f(a: crate::a::A) -> crate::a::A { a }")], &[]);
    check(
        &[("a", "use crate::b::B;"), ("b", "#[cfg(test)] use crate::a::A; use crate::a::C;")],
        &["a -> b, b -> a"],
    );
    check(&[("a", "use crate::b::B;"), ("b", "// crate::a::A\nconst B: &str = \"crate::a::A\";")], &[]);
}
