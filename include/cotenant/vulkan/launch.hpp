// Launch: one dispatch of a kernel as the kernels' host side describes it to Device::launch.
#ifndef COTENANT_VULKAN_LAUNCH_HPP
#define COTENANT_VULKAN_LAUNCH_HPP
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "cotenant/core/function_ref.hpp"
#include "cotenant/share/block.hpp"
#include "cotenant/vulkan/capabilities.hpp"

namespace cotenant::vulkan {

// How a kernel reaches its buffers.
//   pointers     by their device addresses: views cost no descriptor
//   descriptors  by bindings of set 0: what synchronization validation can follow
enum class Addressing : std::uint8_t { pointers, descriptors };

// What kernels are emitted for.
struct Target {
  const Capabilities& capabilities;
  Addressing addressing = Addressing::pointers;
};

// Writes a kernel's SPIR-V.
using Emitter = FunctionRef<std::vector<std::uint32_t>(const Target&)>;

enum class Access : std::uint8_t { read, write, read_write };

// [address, address + bytes) is all that the kernel may touch; `address` is a device address, as View::data() of a
// tensor on the device is one. The block is kept until the kernel is done.
struct BufferArgument {
  Block* block = nullptr;
  const void* address = nullptr;
  std::size_t bytes = 0;
  Access access = Access::read;
};

// Parameters of a launch: one 64-bit address per buffer, then the scalars, in order. Up to 128 bytes they are push
// constants. Beyond that they lie in a parameter block: with pointers its address is the one push constant (64 bits), with
// descriptors it is bound after the buffers (binding = number of buffers) and there is no push constant.
// With descriptors, buffer i is binding i of set 0, bound from the aligned address below it; its 64-bit parameter is how
// many bytes after the binding's begin the data start.
struct Launch {
  // Everything that the code depends on, as text: a key stands for one pipeline per device.
  std::string_view key;
  std::span<const BufferArgument> buffers;
  std::span<const std::uint32_t> scalars;
  std::array<std::uint32_t, 3> groups{1, 1, 1};
  // Invocations per subgroup that the code was written for; 0: whatever the driver chooses. Part of what the key stands for.
  std::uint32_t subgroup_size = 0;
  // Code that somebody else compiled: buffer i is binding i of set 0, at an aligned address, and the scalars alone are push constants.
  bool foreign = false;
  const char* entry_point = "main";
  // Specialization constants: their ids and values.
  std::span<const std::array<std::uint32_t, 2>> constants = {};

  std::size_t parameter_bytes() const { return (foreign ? 0 : buffers.size() * sizeof(std::uint64_t)) + scalars.size() * sizeof(std::uint32_t); }
};
inline constexpr std::size_t max_push_constants = 128;  // what every Vulkan device has

}  // namespace cotenant::vulkan

#endif
