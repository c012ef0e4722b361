//! Patterns as KEYS, SCAN, CONFIG GET and PSUBSCRIBE take them.
//!
//! `*` any bytes, `?` one byte, `[abc]` `[^abc]` `[a-z]` one byte of a class, `\x` the byte x. An unclosed class ends with the pattern.

/// What has more stars, but for one at the end, matches nothing: so deep is all that Redis looks.
const STARS_MAX: usize = 1000;

/// Whether the whole text matches the pattern. Takes time in proportion to both lengths: a star that does not fit is widened, and only
/// the last star ever is.
pub fn matches_glob(pattern: &[u8], text: &[u8], ignore_case: bool) -> bool {
    let (mut at, mut done) = (0, 0);
    // Where to go on if what follows the last star does not fit: behind the star, one byte later in the text.
    let (mut retry, mut stars): (Option<(usize, usize)>, _) = (None, 0);
    loop {
        if pattern.get(at) == Some(&b'*') {
            at += pattern[at..].iter().take_while(|&&byte| byte == b'*').count();
            stars += 1;
            if at == pattern.len() {
                return true;
            }
            if stars > STARS_MAX {
                return false;
            }
            retry = Some((at, done));
            continue;
        }
        if done == text.len() && at == pattern.len() {
            return true;
        }
        let matched = text.get(done).and_then(|&byte| match_one(&pattern[at..], byte, ignore_case));
        if let Some(length) = matched {
            at += length;
            done += 1;
            continue;
        }
        match retry {
            Some((behind_star, from)) if from < text.len() => {
                retry = Some((behind_star, from + 1));
                (at, done) = (behind_star, from + 1);
            }
            _ => return false,
        }
    }
}

/// The length of the pattern's first element if it matches the byte. The element is no star.
fn match_one(pattern: &[u8], byte: u8, ignore_case: bool) -> Option<usize> {
    let fold = |byte: u8| if ignore_case { byte.to_ascii_lowercase() } else { byte };
    let (matched, length) = match pattern {
        [] => return None,
        [b'?', ..] => (true, 1),
        [b'[', class @ ..] => {
            let (matched, length) = match_class(class, fold(byte), fold);
            (matched, 1 + length)
        }
        [b'\\', escaped, ..] => (fold(*escaped) == fold(byte), 2),
        [literal, ..] => (fold(*literal) == fold(byte), 1),
    };
    matched.then_some(length)
}

/// Whether a class, behind its bracket, holds the byte; and how long it is, its closing bracket included.
fn match_class(class: &[u8], byte: u8, fold: impl Fn(u8) -> u8) -> (bool, usize) {
    let negated = class.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut holds = false;
    loop {
        match &class[at..] {
            [] => break,
            [b']', ..] => {
                at += 1;
                break;
            }
            [b'\\', escaped, ..] => {
                holds |= fold(*escaped) == byte;
                at += 2;
            }
            [first, b'-', last, ..] => {
                let (first, last) = (fold(*first), fold(*last));
                holds |= (first.min(last)..=first.max(last)).contains(&byte);
                at += 3;
            }
            [single, ..] => {
                holds |= fold(*single) == byte;
                at += 1;
            }
        }
    }
    (holds != negated, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_redis_does() {
        let yes = [
            ("*", ""),
            ("", ""),
            ("h?llo", "hallo"),
            ("h*llo", "heeeello"),
            ("h[ae]llo", "hallo"),
            ("h[^e]llo", "hallo"),
            ("h[a-b]llo", "hbllo"),
            ("h[b-a]llo", "hallo"),
            (r"\*", "*"),
            (r"a\", r"a\"),
            ("a**b*", "ab"),
            ("[ab", "a"),
            (r"[\]]", "]"),
            ("*a*b*c", "xxaxxbxxc"),
            ("[a-", "-"),
        ];
        for (pattern, text) in yes {
            assert!(matches_glob(pattern.as_bytes(), text.as_bytes(), false), "{pattern} {text}");
        }
        let no = [
            ("", "a"),
            ("?", ""),
            ("h[^e]llo", "hello"),
            ("a*b", "abc"),
            (r"\*", "a"),
            ("[]a]", "a"),
            ("Hello", "hello"),
            ("a", ""),
        ];
        for (pattern, text) in no {
            assert!(!matches_glob(pattern.as_bytes(), text.as_bytes(), false), "{pattern} {text}");
        }
        assert!(matches_glob(b"H[A-F]LLO", b"hello", true));
    }

    /// A pattern of many stars takes no exponential time.
    #[test]
    fn many_stars_end() {
        let pattern = [b"a*".repeat(60), b"b".to_vec()].concat();
        assert!(!matches_glob(&pattern, &[b'a'; 400], false));
    }

    #[test]
    fn very_many_stars_match_nothing() {
        let matches = |pattern: &str| matches_glob(pattern.as_bytes(), &[b'a'; 3000], false);
        assert!(
            matches(&"*?".repeat(1000)) && matches(&("*?".repeat(1000) + "**")) && matches(&("**?".repeat(1000) + "*"))
        );
        assert!(!matches(&"*?".repeat(1001)) && !matches(&("*?".repeat(1001) + "*")));
    }
}
