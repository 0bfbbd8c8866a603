// Any bytes as what comes from another process: a hello, a welcome, a whole arena, an arena's manifest. Refused, or every tensor
// in it lies inside its part and can be read, and the manifest is the same after being written again.
#include "cotenant/ipc/attached_tensors.hpp"
#include "cotenant/ipc/handshake.hpp"
#include "support.hpp"

namespace {
void check(const cotenant::ArenaManifest& manifest, std::string_view arena) {
  using namespace cotenant;
  for (const ArenaTensor& tensor : manifest.tensors)
    with_element(tensor.dtype, [&]<class T>(std::type_identity<T>) {
      // Bytes of this size exactly, so that a sanitizer sees one too many.
      const std::size_t bytes = manifest.part_bytes[tensor.part];
      if (tensor.part != 0 && bytes > 65536) return;
      const BlockRef block = Block::allocate(Heap{}, bytes);
      auto* const data = static_cast<unsigned char*>(block->data());
      for (std::size_t i = 0; i < bytes; ++i) data[i] = tensor.part == 0 && i < arena.size() ? static_cast<unsigned char>(arena[i]) : 1;
      if constexpr (std::is_same_v<T, bool>)
        if (!detail::are_bools(data, tensor.layout)) return;
      const SharedTensor<T> view(block, tensor.layout);
      fuzz::require(view.bytes() == tensor.bytes(), "the manifest tells how many bytes there are");
      if (view.size() <= 65536) fuzz::touch(view);
    });
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace cotenant;
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  if (const auto hello = detail::read_hello(text)) {
    const auto again = detail::read_hello(detail::write_hello(*hello));
    fuzz::require(again && again->version == hello->version && again->model == hello->model, "a hello that was read and written reads the same");
  }
  try {
    const detail::Welcome welcome = detail::read_welcome(text, "fuzz");
    const detail::Welcome again = detail::read_welcome(detail::write_welcome(welcome), "fuzz");
    fuzz::require(again.accepted == welcome.accepted && again.descriptors == welcome.descriptors && again.reason == welcome.reason,
                  "a welcome that was read and written reads the same");
  } catch (const Error&) {
  }
  try {
    check(detail::read_arena(text, "fuzz"), text);
  } catch (const Error&) {
  }
  // Without a header that the fuzzer would have to find first.
  try {
    constexpr std::size_t data_bytes = 256;
    const ArenaManifest manifest = detail::read_manifest(text, data_bytes, "fuzz");
    check(manifest, std::string(data_bytes, '\1'));
    const std::string written = detail::write_manifest(manifest);
    const ArenaManifest again = detail::read_manifest(written, data_bytes, "fuzz");
    fuzz::require(detail::write_manifest(again) == written && again.tensors.size() == manifest.tensors.size(),
                  "a manifest that was read and written reads the same");
  } catch (const Error&) {
  }
  return 0;
}
