#include "cotenant/vulkan/module_interface.hpp"

#include <doctest/doctest.h>

#include <random>

#include "../error_text.hpp"
#include "axpy_spirv.hpp"
#include "two_kernels_spirv.hpp"

using cotenant::vulkan::ModuleInterface;
using namespace cotenant::test;

namespace {
std::vector<std::uint32_t> words() { return {std::begin(axpy_spirv), std::end(axpy_spirv)}; }
std::string complaint(const std::vector<std::uint32_t>& module, const char* entry = "main") {
  return message([&] { static_cast<void>(ModuleInterface::read(module, entry)); });
}
}  // namespace

TEST_CASE("a module says what it needs: workgroup, bindings, push constants, capabilities") {
  const ModuleInterface found = ModuleInterface::read(words(), "main");
  CHECK(found.workgroup_constants == std::array<std::int64_t, 3>{7, -1, -1});
  CHECK(found.workgroup[1] == 1);
  CHECK(found.bindings == std::map<std::uint32_t, bool>{{0, false}, {1, false}, {2, true}, {3, true}});
  CHECK(found.written == std::set<std::uint32_t>{2, 3});
  CHECK(found.push_constant_bytes == 8);
  CHECK(found.shared_bytes == 0);
  CHECK(found.capabilities == std::vector{cotenant::vulkan::spirv::Capability::Shader});
}

TEST_CASE("what is no module is refused with the reason") {
  CHECK(has(complaint({}), "invalid_argument"));
  CHECK(has(complaint({1, 2, 3}), "header"));
  auto changed = words();
  changed[0] = 0x03022307;
  CHECK(has(complaint(changed), "other order"));
  changed[0] = 42;
  CHECK(has(complaint(changed), "magic"));
  changed = words();
  changed[1] = 0x00020000;
  CHECK(has(complaint(changed), "version"));
  changed = words();
  changed[5] &= 0xffff;
  CHECK(has(complaint(changed), "length"));
  changed = words();
  changed.resize(changed.size() - 1);
  changed.back() |= 0xff0000;
  CHECK(has(complaint(changed), "length"));
  CHECK(has(complaint(words(), "other"), "no entry point 'other'"));
}

TEST_CASE("of several kernels in a module each has its own buffers") {
  using Bindings = std::map<std::uint32_t, bool>;
  const ModuleInterface copy = ModuleInterface::read(two_kernels_spirv, "copy"), clear = ModuleInterface::read(two_kernels_spirv, "clear");
  CHECK(copy.bindings == Bindings{{0, true}, {1, true}});
  CHECK(copy.written == std::set<std::uint32_t>{1});
  CHECK(clear.bindings == Bindings{{0, true}});
  CHECK(clear.written == std::set<std::uint32_t>{0});
}

// What glslang makes of GLSL for Vulkan 1.0, and of HLSL: class Uniform and a type that is decorated as BufferBlock.
TEST_CASE("storage buffers of the older kind are known by their type, uniform buffers and arrays of buffers refused") {
  constexpr std::uint32_t type_pointer = 32, variable = 59, decorate = 71, storage_buffer = 12, uniform = 2, block = 2, buffer_block = 3;
  auto older = words();
  for (const bool decorated : {false, true}) {
    for (std::size_t at = 5; at < older.size(); at += older[at] >> 16) {
      const std::uint32_t op = older[at] & 0xffff;
      const std::size_t storage = op == type_pointer ? at + 2 : op == variable ? at + 3 : 0;
      if (storage != 0 && older[storage] == storage_buffer) older[storage] = uniform;
      if (decorated && op == decorate && older[at + 2] == block) older[at + 2] = buffer_block;
    }
    for (const std::uint32_t version : {0x10000u, 0x10300u}) {
      older[1] = version;
      if (!decorated) CHECK(has(complaint(older), "is a uniform buffer"));
      else CHECK(ModuleInterface::read(older, "main").bindings.size() == 4);
    }
  }
  older[1] = 0x10500;
  CHECK(has(complaint(older), "compile it for Vulkan 1.1"));
}

TEST_CASE("damaged modules are refused or read, and nothing worse") {
  std::mt19937 random(1);
  for (int round = 0; round < 3000; ++round) {
    auto changed = words();
    for (int i = 0; i < 3; ++i) changed[random() % changed.size()] = random() % 3 == 0 ? static_cast<std::uint32_t>(random()) : changed[random() % changed.size()];
    if (random() % 4 == 0) changed.resize(random() % changed.size());
    const std::string text = complaint(changed);
    CHECK((text == "no error" || has(text, "this is no SPIR-V module that can be run")));
  }
}
