//! SET changes what starts after it and names what it does not know.

use std::sync::Arc;
use velostream_runtime::{Engine, EngineOptions, Params};

#[test]
fn settings_are_taken_or_named() {
    let mut engine = Engine::new(EngineOptions::default(), Arc::new(|| {})).expect("the options are fine");
    let mut set =
        |text: &str| engine.exec(text, &Params::default(), 0).map(|_| ()).map_err(|error| error.message);
    assert_eq!(set("SET 'default_grace' = '1 minute'"), Ok(()));
    assert_eq!(set("SET 'Output_Rows' = '10'"), Ok(()));
    assert_eq!(
        set("SET 'output_rows' = '0'"),
        Err("output_rows takes a positive whole number, not '0'".to_owned())
    );
    assert_eq!(
        set("SET 'default_grace' = 'soon'"),
        Err("default_grace takes a duration such as '1 minute', not 'soon'".to_owned())
    );
    assert_eq!(set("SET 'colour' = 'blue'"), Err("no setting \"colour\"".to_owned()));
}
