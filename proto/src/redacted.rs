//! `Debug` of the messages that carry tokens or secrets: prints names and sizes, never a value.

use std::fmt;

use crate::v1alpha1::{File, MountRequest, MountResponse};

impl fmt::Debug for MountRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MountRequest")
            .field("target_path", &self.target_path)
            .field("permission", &self.permission)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for MountResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MountResponse")
            .field("object_version", &self.object_version)
            .field("error", &self.error)
            .field("files", &self.files)
            .finish()
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File")
            .field("path", &self.path)
            .field("mode", &format_args!("{:#o}", self.mode))
            .field("size", &self.contents.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_prints_neither_attributes_nor_secrets() {
        let request = MountRequest {
            attributes: "s3cret".into(),
            secrets: "s3cret".into(),
            target_path: "/target".into(),
            ..MountRequest::default()
        };
        let printed = format!("{request:?}");
        assert!(printed.contains("/target"), "{printed}");
        assert!(!printed.contains("s3cret"), "{printed}");
    }

    #[test]
    fn an_answer_prints_no_contents() {
        let file = File { path: "db/password".into(), mode: 0o644, contents: b"s3cret".to_vec() };
        let printed = format!("{:?}", MountResponse { files: vec![file], ..MountResponse::default() });
        assert_eq!(
            printed,
            r#"MountResponse { object_version: [], error: None, files: [File { path: "db/password", mode: 0o644, size: 6 }] }"#
        );
    }
}
