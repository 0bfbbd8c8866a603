// SafetensorsFile: tensors of a .safetensors file as views of the mapped file, without a copy.
#ifndef COTENANT_FILES_SAFETENSORS_HPP
#define COTENANT_FILES_SAFETENSORS_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "cotenant/core/json.hpp"
#include "cotenant/core/nearest.hpp"
#include "cotenant/share/tensor.hpp"
#include "cotenant/storage/mapped.hpp"

namespace cotenant {

// One tensor as the header describes it.
struct SafetensorsInfo {
  std::string name;
  std::string type;              // as written: "F32", "BF16", "F64", …
  std::optional<DType> dtype;    // nothing where cotenant has no such element type
  Shape shape;
  std::size_t begin = 0;         // bytes from the start of the data section
  std::size_t end = 0;
  std::size_t position = 0;      // bytes from the start of the block that holds it
};

// Format: 8 bytes little-endian header length, that many bytes of JSON, then the data section
// (https://github.com/huggingface/safetensors, "Format"). The whole file is checked when it is opened.
//
// A tensor whose bytes do not lie at a multiple of its element size cannot be viewed in place (writers before
// safetensors 0.3 did not pad the header). Then, and only then, the data section is copied once into anonymous
// memory, every tensor aligned, and the file is unmapped again: still one copy of each tensor in memory.
class SafetensorsFile {
 public:
  // The format's own limit: a longer header is an attack or garbage.
  static constexpr std::size_t max_header_bytes = 100'000'000;

  // Errors: NotFound, IoError; BadFile where anything in the file contradicts the format or itself (the message names
  // the file and the tensor); Unsupported for more than eight dimensions.
  static SafetensorsFile open(const std::filesystem::path& path) {
    Mapped storage;
    const Allocation mapping = Mapped::map(path, &storage.file);
    SafetensorsFile file(path.string(), Block::adopt(std::move(storage), mapping));
    file.read_header();
    file.align();
    return file;
  }

  const std::string& path() const { return path_; }
  // In the order of the data section.
  const std::vector<SafetensorsInfo>& tensors() const { return tensors_; }
  std::vector<std::string_view> names() const {
    std::vector<std::string_view> result;
    for (const auto& [name, index] : index_) result.push_back(name);
    return result;
  }
  bool contains(std::string_view name) const { return index_.find(name) != index_.end(); }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  // Whether the data section had to be copied to be aligned.
  bool copied() const { return copied_; }

  // Errors: NotFound, with the nearest names.
  const SafetensorsInfo& info(std::string_view name) const {
    const auto found = index_.find(name);
    if (found == index_.end())
      raise<NotFound>("'" + path_ + "' has no tensor '" + std::string(name) + "'; the nearest of its " + std::to_string(tensors_.size()) + " names are " +
                      nearest_names(name, names()));
    return tensors_[found->second];
  }

  // Where another mapping of the same file is held already: takes that and gives up its own. False where the header or
  // the size differs, or either is a copy; then nothing changes.
  bool use_mapping(const BlockRef& other) {
    const bool same = !copied_ && other && other->storage_identity() == block_->storage_identity() && other->bytes() == block_->bytes() &&
                      std::memcmp(other->data(), block_->data(), data_offset_) == 0;
    if (same) block_ = other;
    return same;
  }

  // A view of the file; the mapping lives as long as any tensor on it.
  // Errors: NotFound; TypeError where the tensor holds another element type; BadFile for a bool that is neither 0 nor 1.
  template <Element T> SharedTensor<T, Mapped> tensor(std::string_view name) const {
    const SafetensorsInfo& found = info(name);
    if (found.dtype != dtype_of<T>)
      raise<TypeError>("tensor '" + found.name + "' in '" + path_ + "' holds " + found.type + ", not " + std::string(to_string(dtype_of<T>)) +
                       (found.dtype ? ": ask for " + std::string(to_string(*found.dtype)) : ": cotenant has no such element type"));
    Layout layout = contiguous_layout(found.shape);
    layout.offset = static_cast<std::ptrdiff_t>(found.position / sizeof(T));
    if constexpr (std::is_same_v<T, bool>) {
      // Reading any other byte as a bool would be undefined.
      const auto* bytes = static_cast<const unsigned char*>(block_->data()) + found.position;
      if (std::any_of(bytes, bytes + (found.end - found.begin), [](unsigned char byte) { return byte > 1; }))
        bad(found.name, "is BOOL, but has a byte that is neither 0 nor 1");
    }
    return SharedTensor<T, Mapped>(block_, layout);
  }

 private:
  struct Type {
    std::string_view name;
    std::size_t bits;
    std::optional<DType> dtype;
  };
  // The format's types; those without an element type of ours are listed and their lengths checked all the same.
  static const Type* find_type(std::string_view name) {
    static constexpr Type types[] = {
        {"F32", 32, DType::f32}, {"F16", 16, DType::f16}, {"BF16", 16, DType::bf16}, {"I8", 8, DType::i8}, {"U8", 8, DType::u8},
        {"I32", 32, DType::i32}, {"I64", 64, DType::i64}, {"BOOL", 8, DType::boolean}, {"F64", 64, {}}, {"C64", 64, {}}, {"U64", 64, {}},
        {"U32", 32, {}}, {"U16", 16, {}}, {"I16", 16, {}}, {"F8_E4M3", 8, {}}, {"F8_E5M2", 8, {}}, {"F8_E8M0", 8, {}},
        {"F8_E4M3FNUZ", 8, {}}, {"F8_E5M2FNUZ", 8, {}}, {"F6_E2M3", 6, {}}, {"F6_E3M2", 6, {}}, {"F4", 4, {}}};
    const auto* found = std::find_if(std::begin(types), std::end(types), [&](const Type& type) { return type.name == name; });
    return found == std::end(types) ? nullptr : found;
  }

  SafetensorsFile(std::string path, BlockRef block) : path_(std::move(path)), block_(std::move(block)) {}

  [[noreturn]] void bad(const std::string& problem) const { raise<BadFile>("'" + path_ + "' is not a valid safetensors file: " + problem); }
  [[noreturn]] void bad(std::string_view tensor, const std::string& problem) const { bad("tensor '" + std::string(tensor) + "' " + problem); }

  void read_header() {
    const std::size_t file_bytes = block_->bytes();
    const auto* bytes = static_cast<const unsigned char*>(block_->data());
    if (file_bytes < 8) bad("it has " + std::to_string(file_bytes) + " bytes, fewer than the 8 of the header length");
    std::uint64_t header_bytes = 0;
    for (int i = 7; i >= 0; --i) header_bytes = (header_bytes << 8) | bytes[i];
    if (header_bytes > max_header_bytes) bad("its header claims " + std::to_string(header_bytes) + " bytes, more than the 100000000 that the format allows");
    if (header_bytes > file_bytes - 8)
      bad("its header claims " + std::to_string(header_bytes) + " bytes, but only " + std::to_string(file_bytes - 8) + " follow: it is truncated");
    data_offset_ = 8 + static_cast<std::size_t>(header_bytes);
    std::string_view text(reinterpret_cast<const char*>(bytes) + 8, static_cast<std::size_t>(header_bytes));
    if (text.empty() || text.front() != '{') bad("its header does not begin with '{'");
    const json::Value header = json::parse(text, "the header of '" + path_ + "'");
    const json::Object& entries = *header.get_if<json::Object>();  // it began with '{'
    for (const json::Member& entry : entries.members()) {
      if (entry.key == "__metadata__") read_metadata(entry.value);
      else read_entry(entry);
    }
    check_ranges(file_bytes - data_offset_);
    for (std::size_t i = 0; i < tensors_.size(); ++i) index_.emplace(tensors_[i].name, i);
  }

  void read_metadata(const json::Value& value) {
    const auto* members = value.get_if<json::Object>();
    if (members == nullptr) bad("its __metadata__ is " + std::string(value.kind()) + ", but should be an object of strings");
    for (const json::Member& member : members->members()) {
      const auto* text = member.value.get_if<std::string>();
      if (text == nullptr) bad("its __metadata__ '" + member.key + "' is " + member.value.kind() + ", but should be a string");
      metadata_.emplace(member.key, *text);
    }
  }

  std::size_t read_size(const std::string& tensor, const char* what, const json::Value& value) const {
    const auto* number = value.get_if<std::int64_t>();
    if (number == nullptr || *number < 0 || static_cast<std::uint64_t>(*number) > std::numeric_limits<std::size_t>::max())
      bad(tensor, std::string("has ") + what + " that is no whole number of a sensible size");
    return static_cast<std::size_t>(*number);
  }

  void read_entry(const json::Member& entry) {
    const auto* fields = entry.value.get_if<json::Object>();
    if (fields == nullptr) bad(entry.key, "is described by " + std::string(entry.value.kind()) + ", but should be by an object");
    SafetensorsInfo info;
    info.name = entry.key;
    for (const json::Member& field : fields->members())
      if (field.key != "dtype" && field.key != "shape" && field.key != "data_offsets") bad(entry.key, "has an unknown field '" + field.key + "'");
    const json::Value* type = fields->find("dtype");
    const json::Value* shape = fields->find("shape");
    const json::Value* offsets = fields->find("data_offsets");
    if (type == nullptr || type->get_if<std::string>() == nullptr) bad(entry.key, "has no dtype");
    if (shape == nullptr || shape->get_if<json::Array>() == nullptr) bad(entry.key, "has no shape");
    if (offsets == nullptr || offsets->get_if<json::Array>() == nullptr || offsets->get_if<json::Array>()->size() != 2)
      bad(entry.key, "has no data_offsets of two numbers");
    info.type = *type->get_if<std::string>();
    const json::Array& extents = *shape->get_if<json::Array>();
    if (extents.size() > max_rank)
      raise<Unsupported>("tensor '" + entry.key + "' in '" + path_ + "' has " + std::to_string(extents.size()) +
                         " dimensions, but cotenant's tensors have at most " + std::to_string(max_rank));
    for (const json::Value& extent : extents) info.shape.append(read_size(entry.key, "a dimension", extent));
    info.begin = read_size(entry.key, "an offset", (*offsets->get_if<json::Array>())[0]);
    info.end = read_size(entry.key, "an offset", (*offsets->get_if<json::Array>())[1]);
    if (info.begin > info.end) bad(entry.key, "ends (" + std::to_string(info.end) + ") before it begins (" + std::to_string(info.begin) + ")");
    if (const Type* known = find_type(info.type)) {
      info.dtype = known->dtype;
      check_length(info, known->bits);
    }
    tensors_.push_back(std::move(info));
  }

  // The format multiplies every dimension, so a zero beside huge ones still has to fit.
  void check_length(const SafetensorsInfo& info, std::size_t bits) const {
    std::size_t count = 1;
    bool fits = true;
    for (std::size_t extent : info.shape) fits = fits && !__builtin_mul_overflow(count, extent, &count);
    fits = fits && !__builtin_mul_overflow(count, bits, &count) && count / 8 <= static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max());
    if (!fits) bad(info.name, "has shape " + to_string(info.shape) + ", whose size overflows");
    if (count % 8 != 0) bad(info.name, "of " + info.type + " and shape " + to_string(info.shape) + " does not fill whole bytes");
    if (count / 8 != info.end - info.begin)
      bad(info.name, "of " + info.type + " and shape " + to_string(info.shape) + " needs " + std::to_string(count / 8) + " bytes, but its offsets hold " +
                         std::to_string(info.end - info.begin));
  }

  // The tensors must cover the data section exactly: no byte twice, none unused, none beyond its end.
  void check_ranges(std::size_t data_bytes) {
    std::sort(tensors_.begin(), tensors_.end(), [](const SafetensorsInfo& a, const SafetensorsInfo& b) {
      return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
    });
    std::size_t covered = 0;
    for (SafetensorsInfo& info : tensors_) {
      if (info.end > data_bytes)
        bad(info.name, "ends at byte " + std::to_string(info.end) + " of the data section, which has " + std::to_string(data_bytes) +
                           ": the file is truncated or the header is wrong");
      if (info.begin < covered)
        bad(info.name, "begins at byte " + std::to_string(info.begin) + " inside the tensor before it, which ends at " + std::to_string(covered));
      if (info.begin > covered) bad(info.name, "begins at byte " + std::to_string(info.begin) + ", which leaves a hole after byte " + std::to_string(covered));
      covered = info.end;
      info.position = data_offset_ + info.begin;
    }
    if (covered != data_bytes) bad("its tensors cover " + std::to_string(covered) + " bytes, but its data section has " + std::to_string(data_bytes));
  }

  void align() {
    constexpr std::size_t line = HeapCache::alignment;
    bool aligned = true;
    std::size_t bytes = 0;
    for (const SafetensorsInfo& info : tensors_) {
      if (info.dtype && info.position % size_of(*info.dtype) != 0) aligned = false;
      // No overflow: at most 63 bytes are added for each tensor, which has more than that in its header.
      bytes += (info.end - info.begin + line - 1) / line * line;
    }
    if (aligned) return;
    const Allocation room = Mapped::anonymous(bytes);
    const auto* from = static_cast<const unsigned char*>(block_->data());
    std::size_t position = 0;
    for (SafetensorsInfo& info : tensors_) {
      if (info.end != info.begin) std::memcpy(static_cast<unsigned char*>(room.data) + position, from + info.position, info.end - info.begin);
      info.position = position;
      position += (info.end - info.begin + line - 1) / line * line;
    }
    block_ = Block::adopt(Mapped{.from_file = false}, room);
    copied_ = true;
  }

  std::string path_;
  BlockRef block_;
  std::size_t data_offset_ = 0;
  std::vector<SafetensorsInfo> tensors_;
  std::map<std::string, std::size_t, std::less<>> index_;
  std::map<std::string, std::string> metadata_;
  bool copied_ = false;
};

}  // namespace cotenant

#endif
