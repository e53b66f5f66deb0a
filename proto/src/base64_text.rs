//! Bytes as base64 text, for rows that are JSON: a list of numbers would take three times the room.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

pub(crate) fn serialize<S: Serializer>(bytes: impl AsRef<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: TryFrom<Vec<u8>>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    let bytes = BASE64_STANDARD.decode(text).map_err(|_| D::Error::custom("not base64"))?;
    T::try_from(bytes).map_err(|_| D::Error::custom("not as many bytes as there must be"))
}

#[cfg(test)]
mod tests {
    use crate::ids::Epoch;
    use crate::seal::Sealed;

    #[test]
    fn bytes_survive_as_text() {
        let sealed = Sealed::from_bytes(vec![0, 1, 255]);
        let json = serde_json::to_string(&sealed).unwrap();
        assert_eq!(json, "\"AAH/\"");
        assert_eq!(serde_json::from_str::<Sealed>(&json).unwrap(), sealed);
    }

    #[test]
    fn what_is_too_short_or_no_base64_is_refused() {
        assert!(serde_json::from_str::<Epoch>("\"AAH/\"").is_err());
        assert!(serde_json::from_str::<Sealed>("\"~\"").is_err());
    }
}
