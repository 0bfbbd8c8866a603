// Any bytes as a safetensors file: opened or refused, and every tensor of an opened one lies inside the file.
#include "cotenant/files/safetensors.hpp"

#include "support.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cotenant;
  const fuzz::MemoryFile memory({reinterpret_cast<const char*>(data), size});
  try {
    const SafetensorsFile file = SafetensorsFile::open(memory.path());
    for (const SafetensorsInfo& info : file.tensors()) {
      if (!info.dtype) continue;
      with_element(*info.dtype, [&]<class T>(std::type_identity<T>) {
        try {
          fuzz::touch(file.tensor<T>(info.name));
        } catch (const BadFile&) {
        }
      });
    }
  } catch (const Error&) {
  }
  return 0;
}
