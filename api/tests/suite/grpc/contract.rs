//! The committed code is what the `.proto` file says, and the `.proto` file takes nothing back that was released.
//!
//! `UPDATE_GRPC=1` writes the generated code and the compiled description again. `proto/released.binpb` is replaced by
//! `proto/wellspring.binpb` with each release, and never otherwise.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use prost::Message;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
};

/// What somebody does to the description.
type Change = fn(&mut FileDescriptorProto);

const FILE: &str = "wellspring/v1/wellspring.proto";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn compiled() -> FileDescriptorSet {
    protox::compile([FILE], [root().join("proto")]).unwrap()
}

#[test]
fn the_committed_code_is_what_the_description_says() {
    let set = compiled();
    let made = tempfile::tempdir().unwrap();
    let mut files = vec![(root().join("proto/wellspring.binpb"), set.encode_to_vec())];
    for (client, place) in [(false, "src/http/grpc"), (true, "tests/suite/grpc")] {
        tonic_prost_build::configure()
            .build_client(client)
            .build_server(!client)
            .build_transport(false)
            .out_dir(made.path())
            .compile_fds(set.clone())
            .unwrap();
        let name = "wellspring.v1.rs";
        files.push((root().join(place).join(name), fs_err::read(made.path().join(name)).unwrap()));
    }
    for (path, made) in files {
        if std::env::var_os("UPDATE_GRPC").is_some() {
            fs_err::write(&path, &made).unwrap();
        }
        let committed = fs_err::read(&path).unwrap();
        let shown = path.display();
        assert!(committed == made, "{shown} is not what {FILE} says; UPDATE_GRPC=1 writes it again");
    }
}

#[test]
fn nothing_that_was_released_is_taken_back() {
    let released = fs_err::read(root().join("proto/released.binpb")).unwrap();
    let released = FileDescriptorSet::decode(released.as_slice()).unwrap();
    assert_eq!(broken(&released, &compiled()), Vec::<String>::new());
}

/// What a client of `old` would miss or misread in `new`.
fn broken(old: &FileDescriptorSet, new: &FileDescriptorSet) -> Vec<String> {
    let (old, new) = (Surface::of(old), Surface::of(new));
    let mut missed = Vec::new();
    for (name, value) in &old.0 {
        match new.0.get(name) {
            Some(now) if now == value => {}
            Some(now) => missed.push(format!("{name} was {value} and is {now}")),
            None => missed.push(format!("{name} is gone")),
        }
    }
    missed
}

/// Everything that a client depends on, by name: fields with number, type, label and group, values of enumerations,
/// methods with their messages and directions.
struct Surface(BTreeMap<String, String>);

impl Surface {
    fn of(set: &FileDescriptorSet) -> Self {
        let mut surface = Self(BTreeMap::new());
        for file in set.file.iter().filter(|file| file.package() == "wellspring.v1") {
            let package = file.package();
            for message in &file.message_type {
                surface.message(package, message);
            }
            for values in &file.enum_type {
                surface.values(package, values);
            }
            for service in &file.service {
                for method in &service.method {
                    let name = format!("{package}.{}.{}", service.name(), method.name());
                    let said = format!(
                        "({}{}) -> {}{}",
                        if method.client_streaming() { "stream " } else { "" },
                        method.input_type(),
                        if method.server_streaming() { "stream " } else { "" },
                        method.output_type()
                    );
                    surface.0.insert(name, said);
                }
            }
        }
        surface
    }

    fn message(&mut self, prefix: &str, message: &DescriptorProto) {
        let name = format!("{prefix}.{}", message.name());
        self.0.insert(name.clone(), "a message".to_owned());
        for field in &message.field {
            self.0.insert(format!("{name}.{}", field.name()), said(message, field));
        }
        for inner in &message.nested_type {
            self.message(&name, inner);
        }
        for values in &message.enum_type {
            self.values(&name, values);
        }
    }

    fn values(&mut self, prefix: &str, values: &EnumDescriptorProto) {
        for value in &values.value {
            let name = format!("{prefix}.{}.{}", values.name(), value.name());
            self.0.insert(name, format!("value {}", value.number()));
        }
    }
}

fn said(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let group = field
        .oneof_index
        .and_then(|index| message.oneof_decl.get(usize::try_from(index).ok()?))
        .map(|group| format!(" in {}", group.name()));
    format!(
        "field {} of type {:?} {} {:?}{}",
        field.number(),
        field.r#type(),
        field.type_name(),
        field.label(),
        group.unwrap_or_default()
    )
}

#[test]
fn each_kind_of_breaking_change_is_seen() {
    let old = compiled();
    let change = |make: Change| {
        let mut new = old.clone();
        let file = new.file.iter_mut().find(|file| file.package() == "wellspring.v1").unwrap();
        make(file);
        broken(&old, &new)
    };
    fn field<'f>(
        file: &'f mut FileDescriptorProto,
        message: &str,
        name: &str,
    ) -> &'f mut FieldDescriptorProto {
        let message = file.message_type.iter_mut().find(|one| one.name() == message).unwrap();
        message.field.iter_mut().find(|one| one.name() == name).unwrap()
    }
    let changes: [(&str, Change); 9] = [
        ("another number", |file| field(file, "Passage", "text").number = Some(60)),
        ("another type", |file| field(file, "Passage", "version").r#type = Some(13)),
        ("another label", |file| field(file, "SearchResponse", "hits").label = Some(1)),
        ("another name", |file| field(file, "Passage", "text").name = Some("words".to_owned())),
        ("another message", |file| {
            field(file, "SearchResponse", "hits").type_name = Some(".wellspring.v1.Citation".to_owned());
        }),
        ("out of its group", |file| field(file, "AnswerResponse", "done").oneof_index = None),
        ("another value", |file| file.enum_type[0].value[1].number = Some(9)),
        ("no stream any more", |file| {
            let service = file.service.iter_mut().find(|one| one.name() == "AnswerService").unwrap();
            service.method[0].server_streaming = Some(false);
        }),
        ("a method less", |file| {
            file.service[0].method.clear();
        }),
    ];
    for (what, make) in changes {
        assert!(!change(make).is_empty(), "{what} is not seen");
    }
    let more: Change = |file| {
        let mut added = file.message_type[0].field[0].clone();
        (added.name, added.number) = (Some("further".to_owned()), Some(99));
        file.message_type[0].field.push(added);
    };
    assert_eq!(change(more), Vec::<String>::new(), "what is added breaks nobody");
}
