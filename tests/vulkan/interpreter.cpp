// The interpreter of kernels computes what they say, and finds what no device has to bear: accesses outside of memory, races, barriers that
// some do not reach. The suite of every op runs in it as a driver: test_vulkan_interpreted.
#include "interpreter/dispatch.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "cotenant/vulkan/kernel.hpp"
#include "cotenant/vulkan/spirv_matrix.hpp"
#include "cotenant/vulkan/spirv_subgroup.hpp"
#include "kernels/product_code.hpp"

namespace {
using namespace cotenant;
using namespace cotenant::vulkan;
namespace interpreter = test::interpreter;

// Runs a kernel of one workgroup on buffers of words; what the interpreter says of it, "" where that is nothing.
std::string interpreted(const spirv::Words& words, std::vector<std::vector<std::uint32_t>>& buffers, std::uint32_t subgroup = 32) {
  interpreter::Arguments arguments;
  std::array<std::byte, 128> parameters{};  // each buffer begins where its binding does
  arguments.push_constants = {parameters.data(), parameters.size()};
  for (std::vector<std::uint32_t>& buffer : buffers) arguments.bindings.push_back({reinterpret_cast<std::byte*>(buffer.data()), buffer.size() * 4});
  try {
    interpreter::dispatch(interpreter::Program(words, subgroup), arguments);
  } catch (const interpreter::Fault& what) {
    return what.what();
  }
  return "";
}
// The same for a kernel of 64 invocations that body(k, in, out, index) emits, on buffers of 64 words.
template <class Body> std::string interpreted_body(std::vector<std::uint32_t>& out, Body body, bool memory_model = false) {
  const Capabilities device = test::paper_device();
  KernelBuilder k({device, Addressing::descriptors}, {.workgroup = 64, .vulkan_memory_model = memory_model});
  const Buffer in = k.buffer(k.u32()), to = k.buffer(k.u32());
  body(k, in, to, k.local_index());
  std::vector<std::vector<std::uint32_t>> buffers(2, std::vector<std::uint32_t>(64));
  std::iota(buffers[0].begin(), buffers[0].end(), 0u);
  const std::string said = interpreted(k.finish(), buffers);
  out = buffers[1];
  return said;
}
bool says(const std::string& said, const char* what) {
  INFO(said);
  return said.find(what) != std::string::npos;
}

TEST_CASE("interpreted: lanes take their own ways through loops and branches and meet again") {
  std::vector<std::uint32_t> out;
  CHECK(interpreted_body(out, [](KernelBuilder& k, const Buffer& in, const Buffer& to, Value i) {
    const spirv::Variable sum = k.variable(k.constant(0u));
    k.loop(0u, in.load(i), 1u, [&](Value at) {
      k.when(at % 3u == 0u, [&] { sum.set(sum.get() + at); }, [&] { sum.set(sum.get() + 1u); });
    });
    to.store(i, sum.get() + spirv::subgroup_max(i));
  }) == "");
  for (std::uint32_t i = 0; i < 64; ++i) {
    std::uint32_t sum = i < 32 ? 31 : 63;
    for (std::uint32_t at = 0; at < i; ++at) sum += at % 3 == 0 ? at : 1;
    CHECK(out[i] == sum);
  }
}

TEST_CASE("interpreted: accesses outside of a buffer or of shared memory are faults") {
  std::vector<std::uint32_t> out;
  CHECK(says(interpreted_body(out, [](KernelBuilder&, const Buffer& in, const Buffer& to, Value i) { to.store(i, in.load(i + 1u)); }),
      "a read of 4 bytes from byte 256 of binding 0, which has 256"));
  CHECK(says(interpreted_body(out, [](KernelBuilder&, const Buffer& in, const Buffer& to, Value i) { to.store(i - 1u, in.load(i)); }),
      "a write of 4 bytes from byte -4 of binding 1"));
  CHECK(says(interpreted_body(out, [](KernelBuilder& k, const Buffer& in, const Buffer&, Value i) { k.shared(k.u32(), 63).store(i, in.load(i)); }),
      "which has 252"));
}

TEST_CASE("interpreted: races on shared memory, and what nobody has written") {
  std::vector<std::uint32_t> out;
  enum class Between { nothing, subgroup, workgroup };
  const auto exchange = [&](Between between, std::uint32_t mask, bool writes = true) {
    return interpreted_body(out, [&](KernelBuilder& k, const Buffer& in, const Buffer& to, Value i) {
      const Shared shared = k.shared(k.u32(), 64);
      if (writes) shared.store(i, in.load(i));
      if (between == Between::subgroup) k.subgroup_barrier();
      if (between == Between::workgroup) k.barrier();
      to.store(i, shared.load(i ^ mask));
    });
  };
  CHECK(exchange(Between::nothing, 0) == "");
  CHECK(says(exchange(Between::nothing, 1), "a race"));
  CHECK(exchange(Between::subgroup, 1) == "");
  CHECK(out[6] == 7);
  CHECK(says(exchange(Between::subgroup, 32), "not written before"));  // the one that reads runs first
  CHECK(exchange(Between::workgroup, 32) == "");
  CHECK(out[6] == 38);
  CHECK(says(exchange(Between::workgroup, 0, false), "not written before"));
  // Readers, and a writer that does not wait for them.
  const auto overwrite = [&](bool waits) {
    return interpreted_body(out, [&](KernelBuilder& k, const Buffer& in, const Buffer& to, Value i) {
      const Shared shared = k.shared(k.u32(), 64);
      shared.store(i, in.load(i));
      k.barrier();
      to.store(i, shared.load(i ^ 33u));
      if (waits) k.barrier();
      shared.store(i, in.load(i) + 1u);
    });
  };
  CHECK(says(overwrite(false), "a race"));
  CHECK(overwrite(true) == "");
  // One place, the same value by all, or each its own.
  const auto one_place = [&](bool same) {
    return interpreted_body(out, [&](KernelBuilder& k, const Buffer& in, const Buffer&, Value i) {
      k.shared(k.u32(), 64).store(k.constant(3u), same ? in.load(k.constant(5u)) : in.load(i));
    });
  };
  CHECK(one_place(true) == "");
  CHECK(says(one_place(false), "a race"));
}

TEST_CASE("interpreted: a barrier that some do not reach") {
  std::vector<std::uint32_t> out;
  const auto barrier_where = [&](std::uint32_t below) {
    return interpreted_body(out, [&](KernelBuilder& k, const Buffer&, const Buffer&, Value i) { k.when(i < below, [&] { k.barrier(); }); });
  };
  CHECK(says(barrier_where(16), "not all lanes"));
  CHECK(says(barrier_where(32), "not all of its subgroups"));
  CHECK(barrier_where(64) == "");
}

TEST_CASE("interpreted: cooperative matrices, of both orders, in subgroups of two sizes") {
  const Capabilities device = test::paper_device();
  using spirv::CooperativeMatrixUse;
  using Order = spirv::CooperativeMatrixLayout;
  for (const std::uint32_t subgroup : {32u, 8u})
    for (const bool by_columns : {false, true}) {
      KernelBuilder k({device, Addressing::descriptors}, {.workgroup = subgroup, .vulkan_memory_model = true});
      spirv::Module& module = k.module();
      const Type byte = module.integer(8, true);
      const Buffer a = k.buffer(byte), b = k.buffer(byte), c = k.buffer(k.i32());
      const auto matrix = [&](Type of, std::uint32_t rows, std::uint32_t columns, CooperativeMatrixUse use) {
        return module.cooperative_matrix(of, spirv::Scope::Subgroup, rows, columns, use);
      };
      const Type sums = matrix(k.i32(), 8, 8, CooperativeMatrixUse::MatrixAccumulator);
      const Value zero = k.constant(0u);
      const Value left = spirv::load_matrix(matrix(byte, 8, 16, CooperativeMatrixUse::MatrixA), a.pointer(zero), Order::RowMajor, k.constant(16u));
      const Value right = spirv::load_matrix(matrix(byte, 16, 8, CooperativeMatrixUse::MatrixB), b.pointer(zero),
          by_columns ? Order::ColumnMajor : Order::RowMajor, k.constant(by_columns ? 16u : 8u));
      const spirv::Variable result = k.variable(spirv::multiply_add(left, right, module.filled(sums, k.constant(1)), 0xF));
      // Whichever elements a lane has, all of them are 3 more then.
      k.loop(zero, spirv::matrix_length(sums), k.constant(1u), [&](Value e) {
        const Value element = spirv::element_pointer(result.pointer(), e);
        spirv::store(element, spirv::load(element) + 3);
      });
      spirv::store_matrix(c.pointer(zero), result.get(), Order::RowMajor, k.constant(8u));
      std::vector<std::vector<std::uint32_t>> buffers{std::vector<std::uint32_t>(32), std::vector<std::uint32_t>(32), std::vector<std::uint32_t>(64)};
      std::array<std::int8_t, 128> as{}, bs{};
      for (std::size_t i = 0; i < 128; ++i) as[i] = static_cast<std::int8_t>(i * 37 % 251), bs[i] = static_cast<std::int8_t>(i * 91 % 253);
      std::memcpy(buffers[0].data(), as.data(), 128), std::memcpy(buffers[1].data(), bs.data(), 128);
      REQUIRE(interpreted(k.finish(), buffers, subgroup) == "");
      for (std::size_t i = 0; i < 8; ++i)
        for (std::size_t j = 0; j < 8; ++j) {
          int sum = 4;
          for (std::size_t d = 0; d < 16; ++d) sum += as[i * 16 + d] * bs[by_columns ? j * 16 + d : d * 8 + j];
          CHECK(static_cast<int>(buffers[2][i * 8 + j]) == sum);
        }
    }
}

TEST_CASE("interpreted: a matrix read before those who bring it have met") {
  const Capabilities device = test::paper_device();
  for (const bool waits : {false, true}) {
    std::vector<std::uint32_t> out;
    const std::string said = interpreted_body(out, [&](KernelBuilder& k, const Buffer& in, const Buffer&, Value i) {
      const Shared shared = k.shared(k.u32(), 256);
      for (std::uint32_t part = 0; part < 4; ++part) shared.store(i + part * 64, in.load(i));
      if (waits) k.barrier();
      const Type t = k.module().cooperative_matrix(k.i32(), spirv::Scope::Subgroup, 16, 16, spirv::CooperativeMatrixUse::MatrixAccumulator);
      static_cast<void>(spirv::load_matrix(t, shared.pointer(k.constant(0u)), spirv::CooperativeMatrixLayout::RowMajor, k.constant(16u)));
    }, true);
    CHECK((waits ? said.empty() : says(said, "a race")));
  }
}

}  // namespace
