// FileRecord: what a file of a TensorStore says about itself, so that a manifest that is lost can be made again from the files alone.
#ifndef COTENANT_FILES_FILE_RECORD_HPP
#define COTENANT_FILES_FILE_RECORD_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cotenant/core/json_field.hpp"
#include "cotenant/core/json_writer.hpp"
#include "cotenant/files/manifest.hpp"
#include "cotenant/files/safetensors.hpp"
#include "cotenant/files/safetensors_writer.hpp"
#include "cotenant/files/stored_file.hpp"

namespace cotenant::detail {

// Two entries of the safetensors metadata. "cotenant_store": {"generation":n,"tensors":{name:{"dtype","shape","zstd","xxh64"}}}, where
// only tensors appear that the format itself cannot describe: packed 4-bit pairs, and compressed ones with the checksums of their elements.
// "cotenant_xxh64": see SafetensorsWriter::set_checksum_metadata.
struct FileRecord {
  static constexpr const char* content_key = "cotenant_store";
  static constexpr const char* checksum_key = "cotenant_xxh64";

  std::uint64_t generation = 0;  // of the commit that wrote the file
  std::size_t bytes = 0;
  std::map<std::string, StoredTensor, std::less<>> tensors;  // those that are intact
  std::map<std::string, std::string> damaged;                // the others, each with what is wrong

  // Whether the safetensors header alone would describe it wrongly.
  static bool is_special(const StoredTensor& tensor) { return tensor.encoding != StoredEncoding::raw || tensor.dtype == DType::i4x2; }

  // Goes into a file that is about to be written; of `tensors` only the special ones are read.
  static void describe(SafetensorsWriter& writer, std::uint64_t generation, const std::map<std::string, StoredTensor>& tensors) {
    JsonWriter json;
    json.begin_object().member("generation", generation).key("tensors").begin_object();
    for (const auto& [name, tensor] : tensors) {
      if (!is_special(tensor)) continue;
      json.key(name).begin_object().member("dtype", to_string(tensor.dtype)).key("shape").begin_array();
      for (const std::size_t extent : tensor.shape) json.value(extent);
      json.end_array().member("zstd", tensor.encoding == StoredEncoding::zstd);
      if (tensor.encoding == StoredEncoding::zstd) {
        json.key("xxh64").begin_array();
        for (const std::uint64_t sum : tensor.checksums) json.value(checksum_digits(sum));
        json.end_array();
      }
      json.end_object();
    }
    writer.set_metadata(content_key, json.end_object().end_object().take());
    writer.set_checksum_metadata(checksum_key);
  }

  // Reads all of a file and checks every byte. Errors: BadFile where it is no such file, or its header is damaged; Unsupported; NotFound, IoError.
  static FileRecord read(const std::filesystem::path& path) {
    const auto file = SafetensorsFile::open(path);
    const auto bad = [&](const std::string& problem) { raise<BadFile>("'" + path.string() + "' " + problem); };
    const auto content = file.metadata().find(content_key), sums = file.metadata().find(checksum_key);
    if (content == file.metadata().end() || sums == file.metadata().end()) bad("was not written by a tensor store that keeps checksums in its files");
    if (file.copied()) bad("has tensors at odd positions, as no store writes them");
    const std::optional<StoredFile> opened = StoredFile::open(path);
    if (!opened) bad("is gone");
    check_header(*opened, sums->second, bad);

    const std::string name = path.filename().string();
    const json::Value value = json::parse(content->second, "'" + path.string() + "'");
    const json::Field root(value, "'" + path.string() + "'");
    FileRecord record;
    record.generation = root["generation"].size(0, static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max() - 1));
    record.bytes = opened->bytes();
    std::size_t digits = 16;
    for (const SafetensorsInfo& info : file.tensors()) {
      StoredTensor tensor;
      const json::Field special = root["tensors"][info.name];
      if (special) tensor = Manifest::parse_elements(special);
      else if (!info.dtype) bad("holds '" + info.name + "' of a type that no store writes");
      else tensor.dtype = *info.dtype, tensor.shape = info.shape, tensor.bytes = info.end - info.begin;
      if (special && special["zstd"].boolean()) {
        tensor.encoding = StoredEncoding::zstd;
        tensor.checksums = Manifest::parse_checksums(special["xxh64"], tensor.bytes);
      } else if (tensor.bytes != info.end - info.begin || info.position % size_of(tensor.dtype) != 0) {
        bad("describes '" + info.name + "' twice, in different ways");
      }
      tensor.file = name;
      tensor.position = info.position;
      tensor.stored_bytes = info.end - info.begin;
      const std::optional<std::string> problem = check_bytes(*opened, tensor, sums->second, digits);
      if (!problem) bad("has fewer checksums than it needs");
      if (problem->empty()) record.tensors.emplace(info.name, std::move(tensor));
      else record.damaged.emplace(info.name, "tensor '" + info.name + "' in '" + path.string() + "' " + *problem);
    }
    if (digits != sums->second.size()) bad("has more checksums than it needs");
    return record;
  }

 private:
  // The header as it was before its checksums were known.
  template <class Bad> static void check_header(const StoredFile& file, const std::string& sums, const Bad& bad) {
    const auto part = file.map(0, file.bytes());
    const auto* bytes = static_cast<const char*>(part.data());
    std::uint64_t length = 0;  // the file was opened as a safetensors file before, so it lies inside
    for (int i = 7; i >= 0; --i) length = length << 8 | static_cast<unsigned char>(bytes[i]);
    std::string header(bytes, std::min(file.bytes(), static_cast<std::size_t>(length) + 8));
    const std::size_t at = sums.size() < 16 ? header.npos : header.find("\"" + sums + "\"");
    if (at == header.npos) bad("has a damaged header: its checksums are not where they should be");
    std::fill_n(header.begin() + static_cast<std::ptrdiff_t>(at) + 1, sums.size(), '0');
    if (read_checksum_digits(std::string_view(sums).substr(0, 16)) != xxh64(header.data(), header.size()))
      bad("has a damaged header: its checksum does not match");
  }
  // Nothing where there are not enough checksums; else what is wrong, empty where all is well. Raw bytes are their elements.
  static std::optional<std::string> check_bytes(const StoredFile& file, StoredTensor& tensor, const std::string& sums, std::size_t& digits) {
    const auto part = file.map(tensor.position, tensor.stored_bytes);
    const auto* bytes = static_cast<const unsigned char*>(part.data());
    std::string problem;
    for (std::size_t done = 0; done < tensor.stored_bytes; done += ChunkedChecksum::chunk_bytes) {
      const std::size_t count = std::min(ChunkedChecksum::chunk_bytes, tensor.stored_bytes - done);
      if (sums.size() < digits + 16) return std::nullopt;
      const auto expected = read_checksum_digits(std::string_view(sums).substr(digits, 16));
      digits += 16;
      const std::uint64_t sum = xxh64(bytes + done, count);
      if (expected != sum) problem = "is damaged: the checksum of bytes " + std::to_string(done) + " to " + std::to_string(done + count) + " does not match";
      if (tensor.encoding == StoredEncoding::raw) tensor.checksums.push_back(sum);
    }
    return problem;
  }
};

}  // namespace cotenant::detail

#endif
