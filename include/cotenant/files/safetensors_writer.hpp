// SafetensorsWriter: tensors into a .safetensors file that any reader can map without a copy.
#ifndef COTENANT_FILES_SAFETENSORS_WRITER_HPP
#define COTENANT_FILES_SAFETENSORS_WRITER_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/core/json_writer.hpp"
#include "cotenant/core/utf8.hpp"
#include "cotenant/files/atomic_file.hpp"
#include "cotenant/files/checksum.hpp"
#include "cotenant/files/row_major.hpp"
#include "cotenant/files/safetensors.hpp"
#include "cotenant/share/tensor.hpp"

namespace cotenant {

// Where write() put one tensor.
struct WrittenTensor {
  std::string name;
  std::size_t position = 0;              // bytes from the start of the file
  std::size_t bytes = 0;
  std::vector<std::uint64_t> checksums;  // as ChunkedChecksum makes them
};

// Holds handles until write(): no element is copied before. Element sizes fall along the file, so every tensor lies at
// a multiple of its element size; the data section begins at a multiple of a cache line.
class SafetensorsWriter {
 public:
  // Adds a tensor under a new name. Any layout will do: the file gets its elements in row-major order.
  // Errors: AlreadyRegistered; InvalidArgument for an empty tensor, a reserved name, or one that is not UTF-8.
  template <TensorLike X> void add(std::string name, const X& like) {
    static_assert(storage_type_of<X>::host_accessible, "cotenant: only host tensors can be written to a file: copy_to<Heap>() it first");
    static_assert(ScalarElement<element_type_of<X>>, "cotenant: safetensors has no type for packed 4-bit pairs: write the bytes as u8");
    add(std::move(name), dtype_of<element_type_of<X>>, as_tensor(like).block(), as_tensor(like).layout());
  }
  // The same for elements of a type known at run time, in a block that the host may read. Packed 4-bit pairs are written as u8.
  void add(std::string name, DType dtype, const BlockRef& block, const Layout& layout) {
    if (!block) raise<InvalidArgument>("cannot write '" + name + "': it is an empty handle");
    if (name == "__metadata__") raise<InvalidArgument>("no tensor can be called '__metadata__': the format reserves that name");
    check_utf8(name);
    for (const Entry& entry : entries_)
      if (entry.name == name) raise<AlreadyRegistered>("a tensor '" + name + "' is in this file already");
    entries_.push_back({std::move(name), dtype, element_count(layout.shape) * size_of(dtype), block, layout});
  }
  // Errors: InvalidArgument where one is not UTF-8.
  void set_metadata(std::string key, std::string value) {
    check_utf8(key);
    check_utf8(value);
    metadata_.insert_or_assign(std::move(key), std::move(value));
  }
  // Lets write() put checksums into the metadata, so that the file can be proved by itself: 16 hexadecimal digits of XXH64 for the header
  // (its length, its JSON with zeros for all of these digits, its padding), then for each chunk of each tensor along the file (ChunkedChecksum).
  // Errors: InvalidArgument where the key is not UTF-8.
  void set_checksum_metadata(std::string key) {
    check_utf8(key);
    checksum_key_ = std::move(key);
  }

  // The file appears complete or not at all; says where in it each tensor lies, in that order.
  // Errors: IoError; InvalidArgument where the header would be too long.
  std::vector<WrittenTensor> write(const std::filesystem::path& path, AtomicFile::Durability durability = AtomicFile::Durability::durable) const {
    const std::vector<const Entry*> order = file_order();
    const std::string header = make_header(order);
    AtomicFile file(path, durability);
    unsigned char length[8];
    for (int i = 0; i < 8; ++i) length[i] = static_cast<unsigned char>(static_cast<std::uint64_t>(header.size()) >> (8 * i));
    file.write(length, sizeof length);
    file.write(header);
    std::vector<WrittenTensor> written;
    std::size_t position = sizeof length + header.size();
    Output out{file, {}};
    for (const Entry* entry : order) {
      entry->block->wait();
      write_row_major(out, entry->block->data(), entry->layout, size_of(entry->dtype));
      written.push_back({entry->name, position, entry->bytes, out.checksum.take()});
      position += entry->bytes;
    }
    if (!checksum_key_.empty()) {
      Xxh64 sum;
      sum.update(length, sizeof length);
      sum.update(header.data(), header.size());
      std::string digits = checksum_digits(sum.digest());
      for (const WrittenTensor& tensor : written)
        for (std::uint64_t chunk : tensor.checksums) digits += checksum_digits(chunk);
      file.rewrite(sizeof length + checksum_position(header), digits);
    }
    file.commit();
    return written;
  }
  // The size of the file that write() would make now.
  std::size_t file_bytes() const {
    std::size_t bytes = 8 + make_header(file_order()).size();
    for (const Entry& entry : entries_) bytes = checked_add(bytes, entry.bytes, "the size of the file");
    return bytes;
  }

 private:
  struct Output {
    AtomicFile& file;
    ChunkedChecksum checksum;
    void write(const void* data, std::size_t bytes) {
      // In pieces that are still in a core's cache when they are read the second time.
      constexpr std::size_t piece = std::size_t{256} << 10;
      for (const auto* at = static_cast<const char*>(data); bytes != 0;) {
        const std::size_t taken = std::min(bytes, piece);
        checksum.update(at, taken);
        file.write(at, taken);
        at += taken, bytes -= taken;
      }
    }
  };
  struct Entry {
    std::string name;
    DType dtype;
    std::size_t bytes;
    BlockRef block;
    Layout layout;
  };

  static std::string_view type_name(DType dtype) {
    constexpr std::string_view names[dtype_count] = {"F32", "F16", "BF16", "I8", "U8", "I32", "I64", "BOOL", "U8"};
    return names[static_cast<std::size_t>(dtype)];
  }
  static void check_utf8(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
      const DecodedCodePoint decoded = decode_utf8(text, at);
      if (!decoded.valid) raise<InvalidArgument>("a name or metadata of a safetensors file must be UTF-8, but byte " + std::to_string(at) + " of it is not");
      at += decoded.length;
    }
  }
  std::vector<const Entry*> file_order() const {
    std::vector<const Entry*> order;
    for (const Entry& entry : entries_) order.push_back(&entry);
    std::sort(order.begin(), order.end(),
              [](const Entry* a, const Entry* b) {
                const std::size_t left = size_of(a->dtype), right = size_of(b->dtype);
                return left != right ? left > right : a->name < b->name;
              });
    return order;
  }
  // Where the value of the checksums' key begins: at the header's first member, which is the metadata's first.
  std::size_t checksum_position(const std::string& header) const { return header.find("\":\"") + 3; }
  std::string make_header(const std::vector<const Entry*>& order) const {
    JsonWriter json;
    json.begin_object();
    if (!metadata_.empty() || !checksum_key_.empty()) {
      json.key("__metadata__").begin_object();
      if (!checksum_key_.empty()) {
        std::size_t sums = 1;
        for (const Entry* entry : order) sums += ChunkedChecksum::chunks(entry->bytes);
        json.member(checksum_key_, std::string(sums * 16, '0'));
      }
      for (const auto& [key, value] : metadata_) if (key != checksum_key_) json.member(key, value);
      json.end_object();
    }
    std::size_t at = 0;
    for (const Entry* entry : order) {
      json.key(entry->name).begin_object().member("dtype", type_name(entry->dtype)).key("shape").begin_array();
      for (std::size_t extent : entry->layout.shape) json.value(extent);
      json.end_array().key("data_offsets").begin_array().value(at).value(at + entry->bytes).end_array().end_object();
      at += entry->bytes;
    }
    std::string header = json.end_object().take();
    // Spaces after the JSON are the format's own padding.
    constexpr std::size_t line = HeapCache::alignment;
    header.resize((8 + header.size() + line - 1) / line * line - 8, ' ');
    if (header.size() > SafetensorsFile::max_header_bytes)
      raise<InvalidArgument>("the names of these tensors need " + std::to_string(header.size()) + " bytes, more than a header may have");
    return header;
  }

  std::vector<Entry> entries_;
  std::map<std::string, std::string> metadata_;
  std::string checksum_key_;
};

}  // namespace cotenant

#endif
