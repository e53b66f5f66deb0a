//! Randomness as a parameter, so that tests can be repeated.

use zeroize::Zeroizing;

/// A source of unpredictable bytes.
pub trait Random: Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// aws-lc's generator, seeded by the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

/// A fixed number of unpredictable bytes.
pub fn bytes<const N: usize>(random: &dyn Random) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill(&mut bytes);
    bytes
}

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `length` characters, each drawn evenly from the 62 of base62: 5.95 bits a character.
pub fn base62(random: &dyn Random, length: usize) -> String {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let draws: Zeroizing<[u8; 64]> = Zeroizing::new(bytes(random));
        // 248 is the largest multiple of 62 in a byte: what lies above would favour some characters.
        let even = draws.iter().filter(|&&draw| draw < 248);
        text.extend(even.take(length - text.len()).map(|&draw| ALPHABET[usize::from(draw % 62)] as char));
    }
    text
}

/// `value` in base62, padded with zeros to `width` characters, which must be enough for it.
pub(crate) fn base62_number(mut value: u32, width: usize) -> impl Iterator<Item = u8> {
    let mut digits = [b'0'; 6];
    debug_assert!(width == digits.len());
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(value % 62) as usize];
        value /= 62;
    }
    digits.into_iter()
}

// === impl SystemRandom ===

impl Random for SystemRandom {
    #[allow(clippy::disallowed_methods, reason = "the one place that asks the machine")]
    #[expect(
        clippy::expect_used,
        reason = "without randomness no token may be made: stopping is the safe answer"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).expect("the operating system gives random bytes");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base62_has_the_length_and_only_the_alphabet() {
        for length in [0, 1, 22, 43, 200] {
            let text = base62(&SystemRandom, length);
            assert_eq!(text.len(), length);
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        }
    }

    #[test]
    fn base62_numbers_are_padded() {
        let text = |value| base62_number(value, 6).map(char::from).collect::<String>();
        assert_eq!(text(0), "000000");
        assert_eq!(text(61), "00000z");
        assert_eq!(text(62), "000010");
        assert_eq!(text(u32::MAX), "4gfFC3");
    }
}
