//! Writes `docs/reference/grpc.md` out of `proto/wellspring/v1/wellspring.proto`.

use std::collections::BTreeMap;
use std::fmt::Write;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};

use super::{NOTICE, cell, held, root};

/// Numbers of the fields of `FileDescriptorProto`, `DescriptorProto`, `EnumDescriptorProto` and `ServiceDescriptorProto`
/// that a comment's path is made of (descriptor.proto).
mod path {
    pub(super) const MESSAGE: i32 = 4;
    pub(super) const ENUM: i32 = 5;
    pub(super) const SERVICE: i32 = 6;
    pub(super) const FIELD_OF_MESSAGE: i32 = 2;
    pub(super) const VALUE_OF_ENUM: i32 = 2;
    pub(super) const METHOD_OF_SERVICE: i32 = 2;
}

/// What the description says about each of its parts, by path.
struct Comments(BTreeMap<Vec<i32>, String>);

impl Comments {
    fn of(file: &FileDescriptorProto) -> Self {
        let told = file.source_code_info.iter().flat_map(|info| &info.location);
        let told = told.filter_map(|one| Some((one.path.clone(), one.leading_comments.clone()?)));
        Self(told.collect())
    }

    fn at(&self, path: &[i32]) -> String {
        let lines = self.0.get(path).map(String::as_str).unwrap_or_default().lines();
        lines.map(str::trim).collect::<Vec<_>>().join("\n").trim().to_owned()
    }
}

/// A message of ours as a link, another one by its full name.
fn named(name: &str) -> String {
    match name.strip_prefix(".wellspring.v1.") {
        Some(own) => format!("[{own}](#{})", own.to_lowercase()),
        None => format!("`{}`", name.trim_start_matches('.')),
    }
}

fn kind(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let entry = message.nested_type.iter().find(|inner| {
        inner.options.as_ref().is_some_and(|options| options.map_entry())
            && field.type_name().ends_with(&format!(".{}", inner.name()))
    });
    if let Some(entry) = entry {
        let sides: Vec<String> = entry.field.iter().map(|side| kind(entry, side)).collect();
        return format!("map of {}", sides.join(" to "));
    }
    let plain = match field.r#type() {
        Type::Message | Type::Enum => named(field.type_name()),
        other => other.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
    };
    match field.label() {
        Label::Repeated => format!("repeated {plain}"),
        _ if field.proto3_optional() => format!("{plain}, optional"),
        _ => plain,
    }
}

fn shape(page: &mut String, comments: &Comments, path: &[i32], message: &DescriptorProto) {
    let _ = writeln!(page, "\n### {}\n\n{}", message.name(), comments.at(path));
    if message.field.is_empty() {
        return;
    }
    page.push_str("\n| field | number | type | |\n|---|---|---|---|\n");
    for (at, field) in (0..).zip(&message.field) {
        let said = comments.at(&[path, &[path::FIELD_OF_MESSAGE, at]].concat());
        // An optional field is a group of one to the compiler.
        let group = field.oneof_index.filter(|_| !field.proto3_optional());
        let group = group.and_then(|at| message.oneof_decl.get(usize::try_from(at).ok()?));
        let group = group.map(|group| format!(" One of `{}`.", group.name())).unwrap_or_default();
        let (name, number) = (field.name(), field.number());
        let _ = writeln!(page, "| `{name}` | {number} | {} | {}{group} |", kind(message, field), cell(&said));
    }
}

#[test]
fn services() {
    const FILE: &str = "wellspring/v1/wellspring.proto";
    let set = protox::compile([FILE], [root().join("api/proto")]).unwrap();
    let file = set.file.iter().find(|file| file.name() == FILE).unwrap();
    let comments = Comments::of(file);
    let mut page = format!(
        "{NOTICE}# gRPC\n\n`[grpc] listen` opens it ([configuration](../configuration.md)). The description is \
         `api/proto/wellspring/v1/wellspring.proto`; the server tells it by reflection (v1 and v1alpha) and has the standard \
         health service. Credentials are the metadata `authorization: Bearer ws_…` or `x-api-key: ws_…`. A refusal has a gRPC \
         status, its stable code as the metadata `wellspring-code`, and `retry-after` in seconds where waiting helps. Offsets \
         are UTF-8 bytes of the stored text, ends exclusive.\n"
    );
    for (at, service) in (0..).zip(&file.service) {
        let place = [path::SERVICE, at];
        let _ = writeln!(page, "\n## {}\n\n{}", service.name(), comments.at(&place));
        for (at, method) in (0..).zip(&service.method) {
            let said = comments.at(&[&place[..], &[path::METHOD_OF_SERVICE, at]].concat());
            let side = |streams: bool, name: &str| {
                format!("{}{}", if streams { "stream of " } else { "" }, named(name))
            };
            let _ = writeln!(
                page,
                "\n### `{}`\n\nTakes {}, gives {}.\n\n{said}",
                method.name(),
                side(method.client_streaming(), method.input_type()),
                side(method.server_streaming(), method.output_type()),
            );
        }
    }
    page.push_str("\n## Messages\n");
    for (at, message) in (0..).zip(&file.message_type) {
        shape(&mut page, &comments, &[path::MESSAGE, at], message);
    }
    page.push_str("\n## Enumerations\n");
    for (at, values) in (0..).zip(&file.enum_type) {
        let place = [path::ENUM, at];
        let _ = writeln!(page, "\n### {}\n\n{}\n", values.name(), comments.at(&place));
        page.push_str("| value | number | |\n|---|---|---|\n");
        for (at, value) in (0..).zip(&values.value) {
            let said = comments.at(&[&place[..], &[path::VALUE_OF_ENUM, at]].concat());
            let _ = writeln!(page, "| `{}` | {} | {} |", value.name(), value.number(), cell(&said));
        }
    }
    held("grpc.md", &page);
}
