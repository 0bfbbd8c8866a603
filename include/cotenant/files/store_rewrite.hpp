// StoreRewrite: the tensors of one file of a store on their way into another, smaller one: compressed, or without what nobody wants any more.
#ifndef COTENANT_FILES_STORE_REWRITE_HPP
#define COTENANT_FILES_STORE_REWRITE_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cotenant/files/manifest.hpp"
#include "cotenant/files/safetensors_writer.hpp"
#include "cotenant/files/stored_file.hpp"
#include "cotenant/files/zstd.hpp"

namespace cotenant::detail {

struct StoreRewrite {
  SafetensorsWriter writer;
  std::map<std::string, StoredTensor> tensors;  // as they will be; file and position are not known yet
  StoredFile::Time last_used{};                 // of the file they come from

  explicit operator bool() const { return !tensors.empty(); }

  // Those tensors of a file that zstd makes smaller by an eighth or more.
  static StoreRewrite compressed(const StoredFile& file, const Manifest& manifest) {
    StoreRewrite result;
    result.last_used = file.last_used();
    each_intact(file, manifest, [&](const std::string& name, StoredTensor entry, const StoredFile::Part& part) {
      if (entry.encoding != StoredEncoding::raw || entry.bytes == 0) return;
      const auto packed = pack(entry, static_cast<const unsigned char*>(part.data()));
      if (!packed) return;
      result.writer.add(name, *packed);
      entry.encoding = StoredEncoding::zstd;
      result.tensors.emplace(name, std::move(entry));
    });
    return result;
  }
  // All tensors of a file that are still wanted.
  static StoreRewrite compacted(const StoredFile& file, const Manifest& manifest) {
    StoreRewrite result;
    result.last_used = file.last_used();
    each_intact(file, manifest, [&](const std::string& name, StoredTensor entry, const StoredFile::Part& part) {
      if (entry.encoding == StoredEncoding::zstd) result.writer.add(name, DType::u8, part.block, at(part, {entry.stored_bytes}, 1));
      else result.writer.add(name, entry.dtype, part.block, at(part, entry.shape, size_of(entry.dtype)));
      result.tensors.emplace(name, std::move(entry));
    });
    return result;
  }
  // The bytes of a file that no tensor of the manifest needs, its header left out of account.
  static std::size_t dead_bytes(const Manifest& manifest, const std::string& file) {
    std::size_t live = 0;
    for (const auto& [name, entry] : manifest.tensors)
      if (entry.file == file) live += entry.stored_bytes;
    const std::size_t bytes = manifest.files.at(file);
    return bytes > live ? bytes - live : 0;
  }

 private:
  static Layout at(const StoredFile::Part& part, const Shape& shape, std::size_t element_bytes) {
    Layout layout = contiguous_layout(shape);
    layout.offset = static_cast<std::ptrdiff_t>(part.offset / element_bytes);
    return layout;
  }
  // Damaged ones stay where they are, so that a copy of them never looks sound: load() reports them.
  template <class F> static void each_intact(const StoredFile& file, const Manifest& manifest, const F& f) {
    const std::string own = file.path().filename().string();
    for (const auto& [name, entry] : manifest.tensors) {
      if (entry.file != own || file.bytes() < entry.position || file.bytes() - entry.position < entry.stored_bytes) continue;
      const StoredFile::Part part = file.map(entry.position, entry.stored_bytes);
      if (entry.encoding == StoredEncoding::zstd || is_intact(entry, static_cast<const unsigned char*>(part.data()))) f(name, entry, part);
    }
  }
  static bool is_intact(const StoredTensor& entry, const unsigned char* bytes) {
    ChunkedChecksum sum;
    sum.update(bytes, entry.bytes);
    return sum.take() == entry.checksums;
  }
  // One frame per chunk, so that each can be unpacked by itself; nothing where that gains less than an eighth.
  static std::optional<SharedTensor<std::uint8_t>> pack(const StoredTensor& entry, const unsigned char* from) {
    std::vector<unsigned char> packed;
    for (std::size_t first = 0; first < entry.bytes; first += ChunkedChecksum::chunk_bytes) {
      const std::size_t count = std::min(ChunkedChecksum::chunk_bytes, entry.bytes - first), begin = packed.size();
      packed.resize(begin + Zstd::bound(count));
      packed.resize(begin + Zstd::compress(packed.data() + begin, packed.size() - begin, from + first, count));
      if (packed.size() > entry.bytes - entry.bytes / 8) return std::nullopt;
    }
    return cotenant::from(packed, {packed.size()});
  }
};

}  // namespace cotenant::detail

#endif
