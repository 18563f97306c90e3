//! Runs every golden file of the repository.

use std::path::{Path, PathBuf};
use velostream_engine::functions::registry::registry;
use velostream_testkit::golden::{Failure, GoldenFile, check_texts, parse, rewrite, run};

/// The files of `__test__/golden`, with their contents.
fn files() -> Vec<(PathBuf, GoldenFile)> {
    let mut paths = Vec::new();
    list(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../__test__/golden"), &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("a golden file is text");
        let file = parse(&text).unwrap_or_else(|error| panic!("{}:{error}", path.display()));
        (path, file)
    };
    paths.into_iter().map(read).collect()
}

fn list(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the golden files are there") {
        let path = entry.expect("a folder can be listed").path();
        if path.is_dir() {
            list(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "slt") {
            found.push(path);
        }
    }
}

/// Fails with every difference at its file and line.
fn require_none(differences: Vec<(PathBuf, Failure)>) {
    let shown: Vec<String> = differences
        .iter()
        .map(|(path, failure)| {
            let name: PathBuf = path.components().skip_while(|part| part.as_os_str() != "golden").collect();
            format!("{}:{}: {}", name.display(), failure.line, failure.message)
        })
        .collect();
    assert!(shown.is_empty(), "{} differences\n{}", shown.len(), shown.join("\n"));
}

#[test]
fn every_text_binds_or_is_refused_as_its_file_says() {
    let check = |(path, file): (PathBuf, GoldenFile)| {
        let failures = check_texts(&file, registry());
        failures.into_iter().map(move |failure| (path.clone(), failure))
    };
    require_none(files().into_iter().flat_map(check).collect());
}

#[test]
fn every_scene_causes_what_its_file_says_in_every_configuration() {
    let update = std::env::var("UPDATE_GOLDEN").is_ok_and(|value| !value.is_empty());
    let mut differences = Vec::new();
    for (path, file) in files() {
        let (failures, found) = run(&file, registry());
        if update {
            let text = std::fs::read_to_string(&path).expect("a golden file is text");
            std::fs::write(&path, rewrite(&text, &file, &found)).expect("a golden file can be written");
        } else {
            differences.extend(failures.into_iter().map(|failure| (path.clone(), failure)));
        }
    }
    require_none(differences);
}
