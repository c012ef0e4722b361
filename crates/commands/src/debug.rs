//! DEBUG, as far as it is about data: for tests. DEBUG SLEEP is about a node.
//!
//! What changes the data, or how it changes, goes through the log as every write does.

mod digest;

use keyspace::{Accesses, Collection, Context, Keyspace, ListValue, Value, matches_glob};
use rdb::{SnapshotReader, SnapshotWriter};
use resp::Reply;

use crate::args::Args;
use crate::error::{CommandError, CommandResult, DebugError};
use crate::spec::{Arity::*, Flags, Keys, Spec};
use crate::table::{subcommand_syntax, write_help};
use digest::Fingerprint;

const FLAGS: Flags = Flags::LOADING.with(Flags::STALE).with(Flags::NOSCRIPT).with(Flags::ADMIN);

#[rustfmt::skip]
pub(crate) const COMMANDS: &[Spec] = &[
    Spec::read ("DEBUG|DIGEST",                     Exactly(2), Keys::None, digest,            "Returns a fingerprint of all data, the one that Redis computes.").flags(FLAGS),
    Spec::read ("DEBUG|DIGEST-VALUE",               AtLeast(2), Keys::None, digest_value,      "Returns fingerprints of values.").flags(FLAGS),
    Spec::read ("DEBUG|OBJECT",                     AtLeast(3), Keys::None, object,            "Tells how a value is kept.").flags(FLAGS),
    Spec::write("DEBUG|RELOAD",                     AtLeast(2), Keys::None, reload,            "Writes all data as a snapshot does, and reads it back.").flags(FLAGS),
    Spec::write("DEBUG|LOADAOF",                    Exactly(2), Keys::None, reload,            "Does what RELOAD does: no file holds commands alone.").flags(FLAGS),
    Spec::write("DEBUG|SET-ACTIVE-EXPIRE",          Exactly(3), Keys::None, set_active_expire, "Has what is due removed, or only hidden.").flags(FLAGS),
    Spec::read ("DEBUG|QUICKLIST-PACKED-THRESHOLD", Exactly(3), Keys::None, packed_threshold,  "Does nothing: long elements of lists are not kept apart.").flags(FLAGS),
    Spec::read ("DEBUG|STRINGMATCH-LEN",            Exactly(4), Keys::None, string_match,      "Tells whether a pattern matches a text.").flags(FLAGS),
    Spec::read ("DEBUG|PROTOCOL",                   Exactly(3), Keys::None, protocol,          "Returns a reply of a type.").flags(FLAGS),
    Spec::read ("DEBUG|ERROR",                      Exactly(3), Keys::None, error,             "Returns an error.").flags(FLAGS),
    Spec::read ("DEBUG|HELP",                       Exactly(2), Keys::None, help,              "Lists the subcommands.").flags(FLAGS),
];

fn digest(keyspace: &Keyspace, args: &mut Args<'_>, _: &Context, reply: &mut Reply) -> CommandResult {
    args.end()?;
    let frozen = keyspace.freeze();
    let (mut all, mut last) = (Fingerprint::default(), None);
    for key in frozen.keys() {
        if last != Some(key.database) {
            all.begin_database(key.database);
            last = Some(key.database);
        }
        all.key(key.key, &key.to_value(), key.deadline_ms.is_some());
    }
    reply.simple(all.digits());
    Ok(())
}

fn digest_value(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let keys = args.take_rest();
    reply.array(keys.clone().count());
    for key in keys {
        let mut of_value = Fingerprint::default();
        if let Some((value, deadline_ms)) = keyspace.inspect_value(context, key) {
            of_value.value(&value, deadline_ms.is_some());
        }
        reply.simple(of_value.digits());
    }
    Ok(())
}

fn object(keyspace: &Keyspace, args: &mut Args<'_>, context: &Context, reply: &mut Reply) -> CommandResult {
    let key = args.bytes()?;
    let is_fast = args.keyword("FAST");
    // Any other word means nothing there.
    if !is_fast && !args.is_empty() {
        args.bytes()?;
    }
    args.end().map_err(|_| subcommand_syntax("DEBUG", args.subcommand()))?;
    let (value, _) = keyspace.inspect_value(context, key).ok_or(CommandError::NoSuchKey)?;
    let encoding = keyspace.encoding(context, key).expect("the key is there");
    let idle_seconds = keyspace.idle_seconds(context, key).unwrap_or(0);
    let accessed = (context.wall_ms / 1000).saturating_sub(idle_seconds);
    let access = match (keyspace.accesses(), keyspace.frequency(context, key)) {
        (Accesses::Counted { .. }, Some(frequency)) => {
            format!("lfu_freq:{frequency} lfu_access_time_minutes:{}", (accessed / 60) & 0xffff)
        }
        _ => format!("lru:{} lru_seconds_idle:{idle_seconds}", accessed & 0x00ff_ffff),
    };
    let length = if is_fast { String::new() } else { format!(" serializedlength:{}", rdb::dumped_bytes(&value)) };
    let chunks = match &value {
        Value::Collection(Collection::List(list)) if !list.is_packed() => chunks_of(list, keyspace, is_fast),
        _ => String::new(),
    };
    // Addresses are not shown.
    reply.simple(format!("Value at:0x0 refcount:1 encoding:{encoding}{length} {access}{chunks}"));
    Ok(())
}

/// How a big list is divided, in the words of Redis' quicklists. None is compressed.
fn chunks_of(list: &ListValue, keyspace: &Keyspace, is_fast: bool) -> String {
    let count = list.chunks().count();
    #[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
    let mean = list.len() as f64 / count as f64;
    let most = keyspace.settings().list_packed_size;
    let mut text = format!(" ql_nodes:{count} ql_avg_node:{mean:.2} ql_listpack_max:{most} ql_compressed:0");
    if !is_fast {
        text.push_str(&format!(" ql_uncompressed_size:{}", list.listpack_bytes()));
    }
    text
}

fn reload(keyspace: &mut Keyspace, args: &mut Args<'_>, _: &Context, reply: &mut Reply) -> CommandResult {
    // What they mean in Redis has to do with its file; there is none here.
    while ["MERGE", "NOFLUSH", "NOSAVE"].iter().any(|option| args.keyword(option)) {}
    args.end().map_err(|_| DebugError::ReloadOption)?;
    const CHUNK_BYTES: usize = 1 << 16;
    let (mut writer, mut reader) = (SnapshotWriter::new(keyspace.freeze(), &[]), SnapshotReader::new());
    while let Some(chunk) = writer.next_chunk(CHUNK_BYTES) {
        reader.push(&chunk).map_err(|error| DebugError::Reload(error.to_string()))?;
    }
    let restored = reader.finish().map_err(|error| DebugError::Reload(error.to_string()))?;
    let settings = *keyspace.settings();
    if !keyspace.reload(restored.keyspace, |key| rdb::loaded(key, &settings)) {
        return Err(DebugError::Reload("what was read differs from what was written".into()).into());
    }
    reply.ok();
    Ok(())
}

fn set_active_expire(keyspace: &mut Keyspace, args: &mut Args<'_>, _: &Context, reply: &mut Reply) -> CommandResult {
    let word = args.bytes()?;
    args.end()?;
    keyspace.set_expires_actively(keyspace::parse_integer(word).is_some_and(|number| number != 0));
    reply.ok();
    Ok(())
}

fn packed_threshold(_: &Keyspace, args: &mut Args<'_>, _: &Context, reply: &mut Reply) -> CommandResult {
    const BYTES_MAX: u64 = (4 << 30) - (1 << 20);
    let bytes = keyspace::parse_memory(args.bytes()?);
    args.end()?;
    if bytes.is_none_or(|bytes| bytes > BYTES_MAX) {
        return Err(DebugError::PackedThreshold.into());
    }
    reply.ok();
    Ok(())
}

fn string_match(_: &Keyspace, args: &mut Args<'_>, _: &Context, reply: &mut Reply) -> CommandResult {
    let (pattern, text) = (args.bytes()?, args.bytes()?);
    args.end()?;
    reply.integer(i64::from(matches_glob(pattern, text, false)));
    Ok(())
}

fn protocol(_: &Keyspace, args: &mut Args<'_>, _: &Context, reply: &mut Reply) -> CommandResult {
    let name = args.bytes()?.to_ascii_lowercase();
    args.end()?;
    match name.as_slice() {
        b"string" => reply.bulk("Hello World"),
        b"integer" => reply.integer(12345),
        b"double" => reply.double("3.141"),
        b"bignum" => reply.big_number("1234567999999999999999999999999999999"),
        b"null" => reply.null(),
        b"array" => {
            reply.array(3);
            (0..3).for_each(|number| reply.integer(number));
        }
        b"set" => {
            reply.set(3);
            (0..3).for_each(|number| reply.integer(number));
        }
        b"map" => {
            reply.map(3);
            (0..3).for_each(|number| {
                reply.integer(number);
                reply.boolean(number == 1);
            });
        }
        b"attrib" => {
            if reply.attribute(1) {
                reply.bulk("key-popularity");
                reply.array(2);
                reply.bulk("key:123");
                reply.integer(90);
            }
            reply.bulk("Some real reply following the attribute");
        }
        b"push" if reply.protocol() == resp::Protocol::Resp2 => return Err(DebugError::NotForResp2.into()),
        b"push" => {
            reply.push(2);
            reply.bulk("server-cpu-usage");
            reply.integer(42);
        }
        b"verbatim" => reply.verbatim(b"txt", "This is a verbatim\nstring"),
        b"true" => reply.boolean(true),
        b"false" => reply.boolean(false),
        _ => return Err(DebugError::ProtocolType.into()),
    }
    Ok(())
}

fn error(_: &Keyspace, args: &mut Args<'_>, _: &Context, reply: &mut Reply) -> CommandResult {
    let text = args.bytes()?;
    args.end()?;
    reply.error(text);
    Ok(())
}

fn help(_: &Keyspace, args: &mut Args<'_>, _: &Context, reply: &mut Reply) -> CommandResult {
    args.end()?;
    write_help("DEBUG", reply);
    Ok(())
}

#[cfg(test)]
mod tests {
    use keyspace::Settings;

    use super::*;

    #[test]
    fn a_big_list_tells_how_it_is_divided() {
        let chunks: [&[&str]; 3] = [&["a", "bb"], &["ccc", "dddd"], &["5"]];
        let chunks = chunks.iter().map(|chunk| chunk.iter().map(|element| element.as_bytes()));
        let list = ListValue::restore(false, chunks).expect("no chunk is empty");
        let keyspace = Keyspace::new(Settings { list_packed_size: 2, ..Settings::new([7, 11]) });
        let told = " ql_nodes:3 ql_avg_node:1.67 ql_listpack_max:2 ql_compressed:0";
        assert_eq!(chunks_of(&list, &keyspace, true), told);
        // Each listpack has seven bytes of its own; an element two beside its own, a small number one.
        assert_eq!(chunks_of(&list, &keyspace, false), format!("{told} ql_uncompressed_size:41"));
    }
}
