// Any bytes as an npy file: opened or refused, and the array of an opened one lies inside the file.
#include "cotenant/files/npy.hpp"

#include "support.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cotenant;
  const fuzz::MemoryFile memory({reinterpret_cast<const char*>(data), size});
  try {
    const NpyFile file = NpyFile::open(memory.path());
    if (file.header().dtype) with_element(*file.header().dtype, [&]<class T>(std::type_identity<T>) { fuzz::touch(file.tensor<T>()); });
  } catch (const Error&) {
  }
  return 0;
}
