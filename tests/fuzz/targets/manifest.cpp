// Any text as the manifest of a store: refused, or the same after being written again; and a store with a manifest whose
// checksum is right, but which lies about its files, hands out nothing that is not there.
#include <filesystem>
#include <fstream>

#include "cotenant/files/store.hpp"
#include "support.hpp"

namespace {
// A folder that is gone at the end; in memory, because every input is written to it.
struct Folder {
  std::filesystem::path path = "/dev/shm/cotenant-fuzz-" + std::to_string(::getpid());
  Folder() {
    std::filesystem::create_directories(path);
    std::string bytes(8192, '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i % 5 == 0);
    std::ofstream(path / "tensors-1.safetensors", std::ios::binary) << bytes;
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cotenant;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const std::string again = Manifest::parse(text, "fuzz").text();
    fuzz::require(Manifest::parse(again, "fuzz").text() == again, "a manifest that was read and written reads the same");
  } catch (const Error&) {
  }
  Manifest manifest;
  try {
    manifest = Manifest::parse_content(text, "fuzz");
  } catch (const Error&) {
    return 0;
  }
  const std::string written = manifest.text();
  fuzz::require(Manifest::parse(written, "fuzz").text() == written, "what was accepted is written so that it is accepted again");
  static const Folder folder;
  std::ofstream(folder.path / "manifest.json", std::ios::binary) << written;
  for (const bool verify : {false, true}) {
    TensorStore store(folder.path, {.verify = verify});
    for (const auto& item : manifest.tensors) {
      const std::string& name = item.first;
      const StoredTensor& entry = item.second;
      if (entry.encoding == StoredEncoding::zstd && entry.bytes > (std::size_t{1} << 24)) continue;  // as large as it says: not an error
      with_element(entry.dtype, [&]<class T>(std::type_identity<T>) {
        try {
          fuzz::touch(store.load<T>(name));
        } catch (const Error&) {
        }
        try {
          fuzz::touch(store.read<T>(name));
        } catch (const Error&) {
        }
      });
    }
  }
  return 0;
}
