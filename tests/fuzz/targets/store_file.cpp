// Any bytes as a file of a store whose manifest is lost: refused, or every tensor that it describes lies inside it and can be loaded.
#include <filesystem>
#include <fstream>

#include "cotenant/files/store.hpp"
#include "support.hpp"

namespace {
// A folder that is gone at the end; in memory, because every input is written to it.
struct Folder {
  std::filesystem::path path = "/dev/shm/cotenant-fuzz-file-" + std::to_string(::getpid());
  Folder() { std::filesystem::create_directories(path); }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

// The same file with the checksums that its content asks for: a fuzzer does not find those by itself.
std::string with_right_checksums(std::string bytes) {
  using namespace cotenant;
  try {
    const fuzz::MemoryFile memory(bytes);
    const SafetensorsFile file = SafetensorsFile::open(memory.path());
    const auto sums = file.metadata().find(detail::FileRecord::checksum_key);
    const std::size_t at = sums == file.metadata().end() || sums->second.empty() ? bytes.npos : bytes.find("\"" + sums->second + "\"");
    if (at == bytes.npos || file.copied()) return bytes;
    std::string digits(16, '0');
    std::size_t header = 8;
    for (int i = 7; i >= 0; --i) header += static_cast<std::size_t>(static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)])) << (8 * i);
    for (const SafetensorsInfo& info : file.tensors())
      for (std::size_t done = info.begin; done < info.end; done += ChunkedChecksum::chunk_bytes)
        digits += checksum_digits(xxh64(bytes.data() + header + done, std::min(ChunkedChecksum::chunk_bytes, info.end - done)));
    if (digits.size() != sums->second.size()) return bytes;
    bytes.replace(at + 1, digits.size(), digits.size(), '0');
    digits.replace(0, 16, checksum_digits(xxh64(bytes.data(), header)));
    return bytes.replace(at + 1, digits.size(), digits);
  } catch (const Error&) {
    return bytes;
  }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cotenant;
  static const Folder folder;
  const std::string name = "tensors-1.safetensors";
  std::error_code ignored;
  for (const char* other : {"manifest.json", "tensors-1.safetensors.damaged"}) std::filesystem::remove(folder.path / other, ignored);
  std::ofstream(folder.path / name, std::ios::binary) << with_right_checksums({reinterpret_cast<const char*>(data), size});
  TensorStore store(folder.path, {.durable = false});
  const RebuildResult result = store.rebuild();
  fuzz::require(result.rebuilt, "a store without a manifest gets one");
  fuzz::require(store.names().size() == result.tensors, "it lists what was found intact");
  for (const std::string& tensor : store.names()) {
    const StoredTensor entry = store.info(tensor);
    if (entry.encoding == StoredEncoding::zstd && entry.bytes > (std::size_t{1} << 24)) continue;  // as large as it says: not an error
    with_element(entry.dtype, [&]<class T>(std::type_identity<T>) {
      try {
        fuzz::touch(store.load<T>(tensor));
      } catch (const Error&) {
        fuzz::require(entry.encoding == StoredEncoding::zstd || entry.dtype == DType::boolean, "what was proved can be loaded");
      }
    });
  }
  return 0;
}
