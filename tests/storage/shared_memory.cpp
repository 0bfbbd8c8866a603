// SharedMemory: a storage on pages that another process filled.
#include "cotenant/storage/shared_memory.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <memory>
#include <utility>

#include "cotenant/share/tensor.hpp"
#include "cotenant/storage/shared_arena.hpp"

namespace ct = cotenant;

static_assert(ct::Storage<ct::SharedMemory> && !ct::AllocatingStorage<ct::SharedMemory> && !ct::SharedMemory::writable);

#if defined(__linux__)

TEST_CASE("tensors on shared memory read it, keep it, and keep the connection") {
  auto connection = std::make_shared<int>(1);
  ct::SharedTensor<float, ct::SharedMemory> tensor;
  {
    ct::SharedArena arena = ct::SharedArena::create(64 * sizeof(float));
    for (int i = 0; i < 64; ++i) {
      const auto value = static_cast<float>(i);
      std::memcpy(arena.writable().data() + i * sizeof(float), &value, sizeof value);
    }
    arena.seal();
    const ct::BlockRef block = ct::Block::adopt(ct::SharedMemory{connection}, ct::SharedMemory::map(arena.descriptor(), arena.bytes()));
    tensor = {block, ct::contiguous_layout({8, 8})};
  }
  CHECK(tensor.view()(7, 7) == 63.0f);
  CHECK(tensor.block()->published());
  CHECK_THROWS_AS(tensor.check_writable(), ct::ReadOnly);
  // The pages go and come back.
  tensor.block()->drop_pages(tensor.view().data(), tensor.bytes());
  CHECK(tensor.transpose().view()(0, 7) == 56.0f);
  CHECK(connection.use_count() == 2);
  tensor = {};
  CHECK(connection.use_count() == 1);
}

TEST_CASE("nothing is mapped for no bytes; what cannot be mapped is an error") {
  ct::SharedArena arena = ct::SharedArena::create(0);
  arena.seal();
  CHECK(ct::SharedMemory::map(arena.descriptor(), 0).data == nullptr);
  ct::SharedMemory{}.deallocate({});
  CHECK_THROWS_AS(static_cast<void>(ct::SharedMemory::map(ct::Descriptor(), 64)), ct::IoError);
}

#else

TEST_CASE("shared memory says that it needs Linux") { CHECK_THROWS_AS(static_cast<void>(ct::SharedMemory::map(ct::Descriptor(), 64)), ct::Unsupported); }

#endif
