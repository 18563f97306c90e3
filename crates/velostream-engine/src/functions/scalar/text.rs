//! Functions that shape whole texts. Lengths and positions count characters.

use crate::error::RecordError;
use crate::expr::kernel::{Kernel, text_out};
use crate::functions::example::{Null, fails};
use crate::functions::overload::{Family, Overload, Returns, scalar_functions};
use velostream_sql::types::DataType;

/// Longest text that a function makes longer than its arguments.
const TEXT_BYTES_MAX: usize = 16 << 20;

fn characters(text: &str) -> i32 {
    i32::try_from(text.chars().count()).unwrap_or(i32::MAX)
}

fn within_limit(bytes: usize) -> Result<(), RecordError> {
    if bytes > TEXT_BYTES_MAX { Err(RecordError::new("text would be longer than 16 MiB")) } else { Ok(()) }
}

fn upper(text: &str, out: &mut String) {
    if text.is_ascii() {
        out.push_str(text);
        out.make_ascii_uppercase();
    } else {
        out.extend(text.chars().flat_map(char::to_uppercase));
    }
}

fn lower(text: &str, out: &mut String) {
    if text.is_ascii() {
        out.push_str(text);
        out.make_ascii_lowercase();
    } else {
        out.extend(text.chars().flat_map(char::to_lowercase));
    }
}

fn initcap(text: &str, out: &mut String) {
    let mut inside = false;
    for character in text.chars() {
        if inside {
            out.extend(character.to_lowercase());
        } else {
            out.extend(character.to_uppercase());
        }
        inside = character.is_alphanumeric();
    }
}

/// Appends the padding that takes `text` to `length` characters, cut from repetitions of `fill`.
fn padding(text: &str, length: i32, fill: &str, out: &mut String) -> Result<(), RecordError> {
    let missing = usize::try_from(length.saturating_sub(characters(text))).unwrap_or(0);
    within_limit(missing)?;
    out.extend(fill.chars().cycle().take(missing));
    Ok(())
}

/// The first `length` characters.
fn first(text: &str, length: i32) -> &str {
    let length = usize::try_from(length).unwrap_or(0);
    text.char_indices().nth(length).map_or(text, |(end, _)| &text[..end])
}

fn pad_left(text: &str, length: i32, fill: &str, out: &mut String) -> Result<(), RecordError> {
    padding(text, length, fill, out)?;
    out.push_str(first(text, length));
    Ok(())
}

fn pad_right(text: &str, length: i32, fill: &str, out: &mut String) -> Result<(), RecordError> {
    out.push_str(first(text, length));
    padding(text, length, fill, out)
}

fn repeat(text: &str, times: i32, out: &mut String) -> Result<(), RecordError> {
    let times = usize::try_from(times).unwrap_or(0);
    within_limit(text.len().saturating_mul(times))?;
    out.extend(std::iter::repeat_n(text, times));
    Ok(())
}

fn character(code: i32) -> Result<char, RecordError> {
    u32::try_from(code)
        .ok()
        .filter(|&code| code != 0)
        .and_then(char::from_u32)
        .ok_or_else(|| RecordError::new(format!("{code} is not the code of a character")))
}

/// A kernel that joins the texts of its arguments from `first` on, NULLs left out.
fn join(first: usize, separator: bool) -> Kernel {
    let mut buffer = Vec::new();
    Kernel::with_nulls(move |args, out| {
        let texts = text_out(out);
        texts.truncate(0);
        for row in 0..args.rows {
            buffer.clear();
            let mut begun = false;
            for index in (first..args.len()).filter(|&index| !args.column(index).is_null(row)) {
                if separator && begun {
                    buffer.extend_from_slice(args.text(0).get(row));
                }
                begun = true;
                buffer.extend_from_slice(args.text(index).get(row));
            }
            texts.push(&buffer);
        }
        if separator && let Some(mask) = args.mask(0) {
            out.validity.intersect(mask);
        }
    })
}

scalar_functions! { "Text";
    /// In capital letters.
    UPPER UCASE {
        [(text: Text) => Text(out) { upper(text, out) }]
        ("abc") => "ABC";
        ("straße") => "STRASSE";
        (Null) => Null;
    }
    /// In small letters.
    LOWER LCASE {
        [(text: Text) => Text(out) { lower(text, out) }]
        ("ABC") => "abc";
        ("ÀB") => "àb";
    }
    /// The first letter of each word a capital one, the others small.
    INITCAP {
        [(text: Text) => Text(out) { initcap(text, out) }]
        ("hi THOMAS o'neil") => "Hi Thomas O'Neil";
    }
    /// Without the spaces, or the characters of `characters`, at both ends.
    TRIM BTRIM {
        [(text: Text) => Text(out) { out.push_str(text.trim_matches(' ')) }]
        [(text: Text, characters: Text) => Text(out) {
            out.push_str(text.trim_matches(|character| characters.contains(character)))
        }]
        ("  ab ") => "ab";
        ("xyabyx", "xy") => "ab";
    }
    /// Without the spaces, or the characters of `characters`, at the start.
    LTRIM {
        [(text: Text) => Text(out) { out.push_str(text.trim_start_matches(' ')) }]
        [(text: Text, characters: Text) => Text(out) {
            out.push_str(text.trim_start_matches(|character| characters.contains(character)))
        }]
        ("  ab ") => "ab ";
        ("xyabyx", "xy") => "abyx";
    }
    /// Without the spaces, or the characters of `characters`, at the end.
    RTRIM {
        [(text: Text) => Text(out) { out.push_str(text.trim_end_matches(' ')) }]
        [(text: Text, characters: Text) => Text(out) {
            out.push_str(text.trim_end_matches(|character| characters.contains(character)))
        }]
        ("  ab ") => "  ab";
        ("xyabyx", "xy") => "xyab";
    }
    /// Filled at the start to `length` characters with spaces or `fill`; a longer text is cut at its end.
    LPAD {
        [(text: Text, length: Int) => Text(out) or error { pad_left(text, length, " ", out) }]
        [(text: Text, length: Int, fill: Text) => Text(out) or error { pad_left(text, length, fill, out) }]
        ("7", 3, "0") => "007";
        ("hi", 5, "xy") => "xyxhi";
        ("hello", 2) => "he";
    }
    /// Filled at the end to `length` characters with spaces or `fill`; a longer text is cut.
    RPAD {
        [(text: Text, length: Int) => Text(out) or error { pad_right(text, length, " ", out) }]
        [(text: Text, length: Int, fill: Text) => Text(out) or error { pad_right(text, length, fill, out) }]
        ("hi", 5, "xy") => "hixyx";
        ("hello", 2) => "he";
    }
    /// Number of characters; of BYTES, number of bytes.
    LENGTH LEN CHAR_LENGTH CHARACTER_LENGTH {
        [(text: Text) => Int { characters(text) }]
        [(bytes: Bytes) => Int { bytes.len() as i32 }]
        ("José") => 4;
        (Null) => Null;
    }
    /// Number of bytes in UTF-8.
    OCTET_LENGTH {
        [(text: Text) => Int { text.len() as i32 }]
        [(bytes: Bytes) => Int { bytes.len() as i32 }]
        ("José") => 5;
    }
    /// The characters from last to first.
    REVERSE {
        [(text: Text) => Text(out) { out.extend(text.chars().rev()) }]
        ("abc") => "cba";
    }
    /// The text so many times; empty for 0 or less.
    REPEAT {
        [(text: Text, times: Int) => Text(out) or error { repeat(text, times, out) }]
        ("ab", 3) => "ababab";
        ("ab", -1) => "";
        ("ab", 100_000_000) => fails("text would be longer than 16 MiB");
    }
    /// The texts in a row; NULLs are left out.
    CONCAT {
        [custom Overload {
            parameters: &[("text", Family::Text)],
            variadic: true,
            returns: Returns::Always(DataType::String),
            nullable: false,
            make: |_| join(0, false),
        }]
        ("a", Null, "b") => "ab";
        (Null) => "";
    }
    /// The texts in a row with `separator` between them; NULLs are left out.
    CONCAT_WS {
        [custom Overload {
            parameters: &[("separator", Family::Text), ("text", Family::Text)],
            variadic: true,
            returns: Returns::Always(DataType::String),
            nullable: true,
            make: |_| join(1, true),
        }]
        (", ", "a", Null, "b") => "a, b";
        (Null, "a", "b") => Null;
    }
    /// The character with this Unicode code.
    CHR {
        [(code: Int) => Text(out) or error { out.push(character(code)?); Ok(()) }]
        (8364) => "€";
        (0) => fails("0 is not the code of a character");
    }
    /// The Unicode code of the first character; 0 for the empty text.
    ASCII {
        [(text: Text) => Int { text.chars().next().map_or(0, |first| first as i32) }]
        ("a") => 97;
        ("") => 0;
    }
}
