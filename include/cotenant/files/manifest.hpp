// Manifest: which tensors a TensorStore holds, in which file each lies, and the checksums that prove it.
#ifndef COTENANT_FILES_MANIFEST_HPP
#define COTENANT_FILES_MANIFEST_HPP
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/core/element.hpp"
#include "cotenant/core/json.hpp"
#include "cotenant/core/json_field.hpp"
#include "cotenant/core/json_writer.hpp"
#include "cotenant/core/shape.hpp"
#include "cotenant/files/checksum.hpp"

namespace cotenant {

enum class StoredEncoding { raw, zstd };

// One tensor of a store. Its elements lie in row-major order.
struct StoredTensor {
  DType dtype = DType::f32;
  Shape shape;
  std::size_t bytes = 0;                 // of its elements
  std::string file;                      // inside the store's folder
  std::size_t position = 0;              // bytes from the start of that file
  std::size_t stored_bytes = 0;          // what it takes there
  StoredEncoding encoding = StoredEncoding::raw;
  std::vector<std::uint64_t> checksums;  // of its elements: ChunkedChecksum
};

// The text is one JSON object, {"cotenant_store":1,"xxh64":"<16 digits>","content":{…}}: the checksum is that of the
// content's text, so a manifest that is damaged, or was edited by hand, is refused instead of believed.
struct Manifest {
  static constexpr std::string_view file_name = "manifest.json";
  static constexpr std::string_view file_prefix = "tensors-", file_suffix = ".safetensors";

  std::uint64_t generation = 0;  // counts the commits
  std::map<std::string, std::size_t, std::less<>> files;  // their sizes in bytes
  std::map<std::string, StoredTensor, std::less<>> tensors;

  // What all files take together; the largest number where that overflows.
  std::size_t file_bytes() const {
    std::size_t total = 0;
    for (const auto& [name, bytes] : files)
      if (__builtin_add_overflow(total, bytes, &total)) return std::numeric_limits<std::size_t>::max();
    return total;
  }
  // Forgets files in which no tensor lies any more.
  void drop_unused_files() {
    std::map<std::string, std::size_t, std::less<>> used;
    for (const auto& [name, tensor] : tensors)
      if (const auto file = files.find(tensor.file); file != files.end()) used.insert(*file);
    files = std::move(used);
  }

  std::string text() const {
    const std::string content = content_text();
    return head(xxh64(content.data(), content.size())) + content + "}\n";
  }
  // The first bytes of text(), which differ where the content does.
  static constexpr std::size_t head_bytes = 64;

  // `name` (the file's) begins every error message. Errors: BadFile where anything contradicts the format or itself;
  // Unsupported for a later version of the format.
  static Manifest parse(std::string_view text, const std::string& name) {
    const std::size_t prefix = head(0).size();
    constexpr std::string_view version = "{\"cotenant_store\":";
    if (text.substr(0, version.size()) != version)
      raise<BadFile>("'" + name + "' is not the manifest of a tensor store: it does not begin with " + std::string(version) +
          ". Where it once was one, TensorStore::rebuild() makes a new one from the tensors' files beside it");
    if (text.substr(version.size(), 2) != "1,")
      raise<Unsupported>("'" + name + "' is a manifest of another version than 1, the only one that this version of cotenant reads");
    if (text.size() < prefix + 2 || text.substr(text.size() - 2) != "}\n")
      raise<BadFile>("'" + name + "' is truncated: it has " + std::to_string(text.size()) +
          " bytes and no end. TensorStore::rebuild() makes a new one from the tensors' files beside it");
    const std::string_view content = text.substr(prefix, text.size() - prefix - 2);
    if (text.substr(0, prefix) != head(xxh64(content.data(), content.size())))
      raise<BadFile>("'" + name + "' is damaged: its checksum is not that of its content. TensorStore::rebuild() makes a new one from the tensors' files "
          "beside it, which prove themselves");
    return parse_content(content, name);
  }
  // The same of what stands under "content".
  static Manifest parse_content(std::string_view content, const std::string& name) {
    const json::Value value = json::parse(content, "'" + name + "'");
    const json::Field root(value, "'" + name + "'");
    Manifest manifest;
    manifest.generation = root["generation"].size(0, max_size);
    const json::Field files = root["files"], tensors = root["tensors"];
    for (const json::Member& member : files.object().members()) {
      if (!is_file_name(member.key)) raise<BadFile>("'" + name + "' names the file '" + member.key + "', which no store makes");
      manifest.files.emplace(member.key, json::Field(member.value, files.path() + "." + member.key).size(0, max_size));
    }
    for (const json::Member& member : tensors.object().members())
      manifest.tensors.emplace(member.key, manifest.parse_tensor(json::Field(member.value, tensors.path() + "." + member.key)));
    return manifest;
  }

  // What members "dtype" and "shape" say of a tensor. Errors: BadFile.
  static StoredTensor parse_elements(const json::Field& field) {
    StoredTensor tensor;
    const std::string& type = field["dtype"].string();
    std::size_t index = 0;
    while (index < dtype_count && to_string(static_cast<DType>(index)) != type) ++index;
    if (index == dtype_count) raise<BadFile>(field.path() + ".dtype is '" + type + "', which is no element type");
    tensor.dtype = static_cast<DType>(index);
    const json::Field shape = field["shape"];
    if (shape.array().size() > max_rank) raise<BadFile>(shape.path() + " has more than " + std::to_string(max_rank) + " dimensions");
    std::size_t bytes = size_of(tensor.dtype);
    bool fits = true;
    for (const json::Value& extent : shape.array()) {
      tensor.shape.append(json::Field(extent, shape.path()).size(0, max_size));
      fits = fits && !__builtin_mul_overflow(bytes, tensor.shape.back(), &bytes);
    }
    // Every dimension is multiplied, so a zero beside huge ones still has to fit.
    if (!fits || bytes > max_size) raise<BadFile>(shape.path() + " is " + to_string(tensor.shape) + ", whose size overflows");
    tensor.bytes = tensor.stored_bytes = bytes;
    return tensor;
  }
  // The checksums of a tensor of so many bytes. Errors: BadFile.
  static std::vector<std::uint64_t> parse_checksums(const json::Field& field, std::size_t bytes) {
    std::vector<std::uint64_t> sums;
    if (field.array().size() != ChunkedChecksum::chunks(bytes))
      raise<BadFile>(field.path() + " has " + std::to_string(field.array().size()) + " checksums, but " + std::to_string(bytes) + " bytes need " +
                     std::to_string(ChunkedChecksum::chunks(bytes)));
    for (const json::Value& value : field.array()) {
      const std::string& text = json::Field(value, field.path()).string();
      const auto sum = read_checksum_digits(text);
      if (!sum) raise<BadFile>(field.path() + " holds '" + text + "', which is not 16 hexadecimal digits");
      sums.push_back(*sum);
    }
    return sums;
  }

  // Names with a folder in them could point anywhere on the machine.
  static bool is_file_name(std::string_view name) {
    return name.size() > file_prefix.size() + file_suffix.size() && name.substr(0, file_prefix.size()) == file_prefix &&
           name.substr(name.size() - file_suffix.size()) == file_suffix && name.find_first_of("/\\:") == std::string_view::npos &&
           name.find('\0') == std::string_view::npos;
  }

 private:
  static constexpr std::size_t max_size = static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max());

  static std::string head(std::uint64_t checksum) { return "{\"cotenant_store\":1,\"xxh64\":\"" + checksum_digits(checksum) + "\",\"content\":"; }

  std::string content_text() const {
    JsonWriter json;
    json.begin_object().member("generation", generation).key("files").begin_object();
    for (const auto& [name, bytes] : files) json.member(name, bytes);
    json.end_object().key("tensors").begin_object();
    for (const auto& [name, tensor] : tensors) {
      json.key(name).begin_object().member("dtype", to_string(tensor.dtype)).key("shape").begin_array();
      for (std::size_t extent : tensor.shape) json.value(extent);
      json.end_array().member("file", tensor.file).member("position", tensor.position);
      if (tensor.encoding == StoredEncoding::zstd) json.member("zstd_bytes", tensor.stored_bytes);
      json.key("xxh64").begin_array();
      for (std::uint64_t sum : tensor.checksums) json.value(checksum_digits(sum));
      json.end_array().end_object();
    }
    return json.end_object().end_object().take();
  }

  StoredTensor parse_tensor(const json::Field& field) const {
    StoredTensor tensor = parse_elements(field);
    tensor.file = field["file"].string();
    const auto file = files.find(tensor.file);
    if (file == files.end()) raise<BadFile>(field.path() + " lies in '" + tensor.file + "', which is not among the files");
    tensor.position = field["position"].size(0, max_size);
    if (const json::Field packed = field["zstd_bytes"]) {
      tensor.encoding = StoredEncoding::zstd;
      tensor.stored_bytes = packed.size(0, max_size);
    } else if (tensor.position % size_of(tensor.dtype) != 0) {
      raise<BadFile>(field.path() + ".position is " + std::to_string(tensor.position) + ", no multiple of the element size");
    }
    if (tensor.position > file->second || tensor.stored_bytes > file->second - tensor.position)
      raise<BadFile>(field.path() + " ends beyond its file of " + std::to_string(file->second) + " bytes");
    tensor.checksums = parse_checksums(field["xxh64"], tensor.bytes);
    return tensor;
  }
};

}  // namespace cotenant

#endif
