// ArenaManifest: which tensors lie where in memory that another process made, as text in that memory; nothing in it is trusted.
#ifndef COTENANT_IPC_ARENA_MANIFEST_HPP
#define COTENANT_IPC_ARENA_MANIFEST_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/core/element.hpp"
#include "cotenant/core/json_field.hpp"
#include "cotenant/core/json_writer.hpp"
#include "cotenant/core/layout.hpp"

namespace cotenant {

// One tensor as the manifest describes it. The layout's offset counts elements from the beginning of its part.
struct ArenaTensor {
  std::string name;
  DType dtype = DType::f32;
  Layout layout;
  std::size_t part = 0;

  // What the elements would need on their own.
  std::size_t bytes() const { return element_count(layout.shape) * size_of(dtype); }
};

// Part 0 is the arena that the manifest itself lies in; parts 1, 2, … are files whose descriptors came with it.
struct ArenaManifest {
  std::vector<std::size_t> part_bytes;
  std::vector<ArenaTensor> tensors;             // names are unique
  std::map<std::string, std::string> metadata;  // what the producer wants to say beside: a configuration, a vocabulary
};

namespace detail {

// An arena is a header of one cache line, the tensors, the manifest. The header, little-endian:
//   0  "cotenant"    8  version    16  first byte of the manifest    24  bytes of the manifest    then zeros
inline constexpr std::size_t arena_header_bytes = 64;
inline constexpr std::uint32_t arena_version = 1;
inline constexpr std::string_view arena_magic = "cotenant";

// A model of a thousand tensors needs 200 KiB, and a tokenizer may come as metadata; beyond this it is an attack or garbage.
inline constexpr std::size_t max_manifest_bytes = std::size_t{64} << 20;
// Descriptors that one message may carry (SCM_MAX_FD of Linux).
inline constexpr std::size_t max_parts = 253;
inline constexpr std::size_t max_name_bytes = 4096;

inline void put_little_endian(unsigned char* to, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) to[i] = static_cast<unsigned char>(value >> (8 * i));
}
inline std::uint64_t get_little_endian(const unsigned char* from, std::size_t bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes; i-- > 0;) value = value << 8 | from[i];
  return value;
}

struct ArenaHeader {
  std::size_t manifest_first = arena_header_bytes;
  std::size_t manifest_bytes = 0;
};

inline void write_arena_header(unsigned char* to, const ArenaHeader& header) {
  std::memset(to + arena_magic.size(), 0, arena_header_bytes - arena_magic.size());
  put_little_endian(to + 8, arena_version, 4);
  put_little_endian(to + 16, header.manifest_first, 8);
  put_little_endian(to + 24, header.manifest_bytes, 8);
  std::memcpy(to, arena_magic.data(), arena_magic.size());
}

// Errors: BadFile; Unsupported for another version. `source` begins every message.
inline ArenaHeader read_arena_header(std::string_view arena, const std::string& source) {
  const auto bad = [&](const std::string& problem) { raise<BadFile>(source + " is not a valid arena: " + problem); };
  if (arena.size() < arena_header_bytes) bad("it has " + std::to_string(arena.size()) + " bytes, fewer than the 64 of its header");
  if (arena.substr(0, arena_magic.size()) != arena_magic) bad("it does not begin with 'cotenant'");
  unsigned char bytes[arena_header_bytes];
  std::memcpy(bytes, arena.data(), arena_header_bytes);
  const std::uint64_t version = get_little_endian(bytes + 8, 4), first = get_little_endian(bytes + 16, 8), size = get_little_endian(bytes + 24, 8);
  if (version != arena_version)
    raise<Unsupported>(source + " has format " + std::to_string(version) + ", but this program reads format " + std::to_string(arena_version) +
                       ": build both with the same cotenant");
  if (size > max_manifest_bytes)
    bad("its manifest claims " + std::to_string(size) + " bytes, more than the " + std::to_string(max_manifest_bytes) + " allowed");
  if (first < arena_header_bytes || first > arena.size() || size > arena.size() - first)
    bad("its manifest of " + std::to_string(size) + " bytes from byte " + std::to_string(first) + " does not lie inside its " + std::to_string(arena.size()));
  return {static_cast<std::size_t>(first), static_cast<std::size_t>(size)};
}

inline std::optional<DType> find_dtype(std::string_view name) {
  for (std::size_t i = 0; i < dtype_count; ++i)
    if (to_string(static_cast<DType>(i)) == name) return static_cast<DType>(i);
  return std::nullopt;
}

inline std::string write_manifest(const ArenaManifest& manifest) {
  JsonWriter json;
  json.begin_object().key("files").begin_array();
  for (std::size_t i = 1; i < manifest.part_bytes.size(); ++i) json.value(manifest.part_bytes[i]);
  json.end_array().key("tensors").begin_array();
  for (const ArenaTensor& tensor : manifest.tensors) {
    json.begin_object().member("name", tensor.name).member("dtype", to_string(tensor.dtype)).key("shape").begin_array();
    for (const std::size_t extent : tensor.layout.shape) json.value(extent);
    json.end_array().key("strides").begin_array();
    for (const std::ptrdiff_t stride : tensor.layout.strides) json.value(stride);
    json.end_array().member("part", tensor.part).member("offset", tensor.layout.offset).member("bytes", tensor.bytes()).end_object();
  }
  json.end_array().key("metadata").begin_object();
  for (const auto& [key, text] : manifest.metadata) json.member(key, text);
  return json.end_object().end_object().take();
}

// One tensor of a manifest; `part_bytes` is how much room each part has.
// Errors: BadFile, ShapeError where the layout reaches outside its part.
inline ArenaTensor read_arena_tensor(const json::Value& value, const std::string& path, const std::vector<std::size_t>& part_bytes) {
  constexpr auto most = static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max());
  const json::Field field(value, path);
  ArenaTensor tensor;
  tensor.name = field["name"].string();
  if (tensor.name.empty() || tensor.name.size() > max_name_bytes)
    raise<BadFile>(field["name"].path() + " has " + std::to_string(tensor.name.size()) + " bytes, but must have 1 to " + std::to_string(max_name_bytes));
  const json::Field named(value, path + " '" + tensor.name + "'");
  const auto dtype = find_dtype(named["dtype"].string());
  if (!dtype) raise<BadFile>(named["dtype"].path() + " is '" + named["dtype"].string() + "', which is no element type of cotenant's");
  tensor.dtype = *dtype;
  const json::Array &shape = named["shape"].array(), &strides = named["strides"].array();
  if (shape.size() > max_rank || strides.size() != shape.size())
    raise<BadFile>(named.path() + " has " + std::to_string(shape.size()) + " dimensions and " + std::to_string(strides.size()) +
                   " strides, but should have as many of both, at most " + std::to_string(max_rank));
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    tensor.layout.shape.append(json::Field(shape[axis], named["shape"].path()).size(0, most));
    const std::int64_t stride = json::Field(strides[axis], named["strides"].path()).integer();
    if (static_cast<std::ptrdiff_t>(stride) != stride) raise<BadFile>(named["strides"].path() + " has a stride beyond any address");
    tensor.layout.strides.append(static_cast<std::ptrdiff_t>(stride));
  }
  tensor.part = named["part"].size(0, part_bytes.size() - 1);
  tensor.layout.offset = static_cast<std::ptrdiff_t>(named["offset"].size(0, most));
  // No product of dimensions may overflow, whatever comes later; the limits of the part are those of the tensor that is made of this.
  const std::size_t bytes = checked_multiply(element_count(tensor.layout.shape), size_of(tensor.dtype), "the number of bytes");
  tensor.layout = check_bounds(tensor.layout, part_bytes[tensor.part] / size_of(tensor.dtype));
  if (named["bytes"].size(0, most) != bytes)
    raise<BadFile>(named.path() + " of " + std::string(to_string(tensor.dtype)) + " and shape " + to_string(tensor.layout.shape) + " needs " +
                   std::to_string(bytes) + " bytes, but says " + std::to_string(named["bytes"].size(0, most)));
  return tensor;
}

// The manifest of an arena, read from text that is this process's own; `data_bytes` is where the arena's tensors must end.
// Errors: BadFile; ShapeError where a tensor reaches outside its part.
inline ArenaManifest read_manifest(std::string_view text, std::size_t data_bytes, const std::string& source) {
  const json::Value value = json::parse(text, source);
  const json::Field root(value, source);
  ArenaManifest manifest;
  manifest.part_bytes.push_back(data_bytes);
  const json::Array& files = root["files"].array();
  if (files.size() >= max_parts) raise<BadFile>(root["files"].path() + " names " + std::to_string(files.size()) + " files, more than a message can carry");
  for (const json::Value& bytes : files)
    manifest.part_bytes.push_back(json::Field(bytes, root["files"].path()).size(0, static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max())));
  std::vector<std::string_view> names;
  const json::Array& tensors = root["tensors"].array();
  manifest.tensors.reserve(tensors.size());  // names point into them
  const std::string path = source + ": tensor";
  for (const json::Value& tensor : tensors) {
    manifest.tensors.push_back(read_arena_tensor(tensor, path, manifest.part_bytes));
    names.push_back(manifest.tensors.back().name);
  }
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) raise<BadFile>(source + " names the tensor '" + std::string(*twice) + "' twice");
  for (const json::Member& member : root["metadata"].object().members())
    manifest.metadata.emplace(member.key, json::Field(member.value, root["metadata"].path() + "." + member.key).string());
  return manifest;
}

// The same, from the whole arena. The text is copied first: whoever can write to an unsealed arena cannot change what was checked.
inline ArenaManifest read_arena(std::string_view arena, const std::string& source) {
  const ArenaHeader header = read_arena_header(arena, source);
  const std::string text(arena.substr(header.manifest_first, header.manifest_bytes));
  return read_manifest(text, header.manifest_first, "the manifest of " + source);
}

}  // namespace detail
}  // namespace cotenant

#endif
