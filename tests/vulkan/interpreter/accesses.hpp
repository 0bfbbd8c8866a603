// Accesses: pointers of a module, and what loads, stores and cooperative matrices do with them.
#ifndef COTENANT_TESTS_VULKAN_INTERPRETER_ACCESSES_HPP
#define COTENANT_TESTS_VULKAN_INTERPRETER_ACCESSES_HPP
#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include "memory.hpp"
#include "registers.hpp"

namespace cotenant::test::interpreter {

class Accesses {
 public:
  using Instruction = Program::Instruction;
  Accesses(Registers& registers, WorkgroupMemory& shared, const Arguments& arguments) : r_(registers), shared_(shared), arguments_(arguments) {}

  Toucher toucher;              // what it says of the lane is filled in here
  std::uint64_t workgroup = 0;  // the number of the one that runs

  // Of a variable of registers: the place of its first number.
  void chain(const Instruction& one) {
    const Type& pointer = r_.type_of(one.operands[0]);
    const bool in_registers = pointer.storage == StorageClass::Function || pointer.storage == StorageClass::Input;
    const std::uint64_t* const from = r_.at(one.operands[0]);
    std::uint64_t* const to = r_.at(one.result);
    r_.each_lane([&](std::uint32_t l) {
      const Type* type = pointer.component;
      std::int64_t further = 0;
      for (const std::uint32_t id : one.operands.subspan(1)) {
        const std::int64_t index = r_.index(id, l);
        if (type->kind == Kind::structure) {
          const auto member = static_cast<std::size_t>(index);
          if (in_registers) for (std::size_t i = 0; i < member; ++i) further += type->members[i]->slots;
          else further += type->offsets[member];
          type = type->members[member];
        } else {
          if (in_registers && (index < 0 || index >= type->count))
            fault("element " + std::to_string(index) + " of a variable of " + std::to_string(type->count) + " in lane " + std::to_string(l));
          further += index * (in_registers ? type->component->slots : type->stride);
          type = type->component;
        }
      }
      to[l] = in_registers ? from[l] + static_cast<std::uint64_t>(further) : advanced(from[l], further);
    });
  }

  void load(const Instruction& one) {
    const Type &pointer = r_.type_of(one.operands[0]), &type = r_.result_type(one);
    const std::uint64_t* const from = r_.at(one.operands[0]);
    std::uint64_t* const to = r_.at(one.result);
    check_operands(one, pointer, 1, false);
    if (pointer.storage == StorageClass::Function || pointer.storage == StorageClass::Input) {
      r_.each_lane([&](std::uint32_t l) {
        for (std::uint32_t c = 0; c < type.slots; ++c) to[c * lanes + l] = r_.file[(from[l] + c) * lanes + l];
      });
      return;
    }
    std::array<std::byte, 64> bytes;
    if (type.bytes > bytes.size()) fault("a load of more than 64 bytes");
    r_.each_lane([&](std::uint32_t l) {
      read(pointer.storage, from[l], bytes.data(), type.bytes, l);
      for (std::uint32_t c = 0; c < type.slots; ++c) {
        std::uint64_t bits = 0;
        std::memcpy(&bits, bytes.data() + type.leaves[c].offset, type.leaves[c].bytes);
        to[c * lanes + l] = bits;
      }
    });
  }
  void store(const Instruction& one) {
    const Type &pointer = r_.type_of(one.operands[0]), &type = r_.type_of(one.operands[1]);
    const std::uint64_t *const to = r_.at(one.operands[0]), *const from = r_.at(one.operands[1]);
    check_operands(one, pointer, 2, true);
    if (pointer.storage == StorageClass::Function) {
      r_.each_lane([&](std::uint32_t l) {
        for (std::uint32_t c = 0; c < type.slots; ++c) r_.file[(to[l] + c) * lanes + l] = from[c * lanes + l];
      });
      return;
    }
    std::array<std::byte, 64> bytes;
    if (type.bytes > bytes.size()) fault("a store of more than 64 bytes");
    r_.each_lane([&](std::uint32_t l) {
      for (std::uint32_t c = 0; c < type.slots; ++c) {
        const std::uint64_t bits = from[c * lanes + l];
        std::memcpy(bytes.data() + type.leaves[c].offset, &bits, type.leaves[c].bytes);
      }
      write(pointer.storage, to[l], bytes.data(), type.bytes, l);
    });
  }

  // One word of a buffer, lane by lane; in which order does not matter to those below. False: the instruction is none of them.
  bool atomic(const Instruction& one) {
    if (one.op != Op::AtomicIAdd && one.op != Op::AtomicAnd && one.op != Op::AtomicOr && one.op != Op::AtomicXor) return false;
    const Type &pointer = r_.type_of(one.operands[0]), &type = r_.result_type(one);
    if (pointer.storage == StorageClass::Workgroup || type.bits != 32) fault("an atomic operation on other memory than a buffer's words of 32 bits");
    const std::uint64_t *const at = r_.at(one.operands[0]), *const with = r_.at(one.operands[3]);
    std::uint64_t* const to = r_.at(one.result);
    r_.each_lane([&](std::uint32_t l) {
      std::byte* const place = outside(pointer.storage, at[l], 4, "write");
      std::uint32_t before = 0;
      std::memcpy(&before, place, 4);
      const auto value = static_cast<std::uint32_t>(with[l]);
      std::uint32_t after = before ^ value;
      if (one.op == Op::AtomicIAdd) after = before + value;
      if (one.op == Op::AtomicAnd) after = before & value;
      if (one.op == Op::AtomicOr) after = before | value;
      put(place, reinterpret_cast<const std::byte*>(&after), 4, BufferWrites::atomic());
      to[l] = before;
    });
    return true;
  }

  void load_matrix(const Instruction& one) {
    const Type &matrix = r_.result_type(one), &pointer = r_.type_of(one.operands[0]);
    check_operands(one, pointer, 3, false);
    std::uint64_t* const to = r_.at(one.result);
    each_line(matrix, one.operands[0], one.operands[1], one.operands[2], [&](std::uint64_t at, std::uint32_t bytes, auto element_of) {
      std::array<std::byte, 1024> line;
      read(pointer.storage, at, line.data(), bytes, Toucher::whole);
      for (std::uint32_t e = 0; e < bytes / matrix.component->bytes; ++e) {
        std::uint64_t bits = 0;
        std::memcpy(&bits, line.data() + e * matrix.component->bytes, matrix.component->bytes);
        to[element_of(e)] = bits;
      }
    });
  }
  void store_matrix(const Instruction& one) {
    const Type &matrix = r_.type_of(one.operands[1]), &pointer = r_.type_of(one.operands[0]);
    check_operands(one, pointer, 4, true);
    const std::uint64_t* const from = r_.at(one.operands[1]);
    each_line(matrix, one.operands[0], one.operands[2], one.operands[3], [&](std::uint64_t at, std::uint32_t bytes, auto element_of) {
      std::array<std::byte, 1024> line;
      for (std::uint32_t e = 0; e < bytes / matrix.component->bytes; ++e) {
        const std::uint64_t bits = from[element_of(e)];
        std::memcpy(line.data() + e * matrix.component->bytes, &bits, matrix.component->bytes);
      }
      write(pointer.storage, at, line.data(), bytes, Toucher::whole);
    });
  }
  // Where element (row, column) of a matrix lies behind its place in the registers.
  std::uint32_t element(const Type& matrix, std::uint32_t row, std::uint32_t column) const {
    const std::uint32_t number = row * matrix.columns + column;
    return number / r_.program.subgroup() * lanes + number % r_.program.subgroup();
  }

 private:
  // f(pointer, bytes, place of element e) for each row of a matrix in row order, each column in column order.
  template <class F> void each_line(const Type& matrix, std::uint32_t pointer, std::uint32_t layout, std::uint32_t stride, F f) {
    if (r_.active != r_.full) fault("a cooperative matrix that not the whole subgroup loads or stores");
    const std::uint64_t begin = r_.uniform(pointer, "the pointer to a cooperative matrix");
    const bool by_rows = r_.uniform(layout, "a matrix's layout") == 0;
    const std::int64_t step = static_cast<std::int64_t>(r_.uniform(stride, "a matrix's stride")) * r_.type_of(pointer).component->bytes;
    const std::uint32_t lines = by_rows ? matrix.rows : matrix.columns, length = by_rows ? matrix.columns : matrix.rows;
    const std::uint32_t bytes = length * matrix.component->bytes, aligned = std::min<std::uint32_t>(16, bytes);
    // VUID-RuntimeSpirv-OpCooperativeMatrixLoadKHR-08986
    if (begin % aligned != 0 || step % aligned != 0)
      fault("a cooperative matrix begins or steps at no multiple of " + std::to_string(aligned) + " bytes: " + std::to_string(begin & offset_mask) + ", " +
          std::to_string(step));
    for (std::uint32_t i = 0; i < lines; ++i)
      f(advanced(begin, i * step), bytes, [&](std::uint32_t e) { return by_rows ? element(matrix, i, e) : element(matrix, e, i); });
  }

  void read(StorageClass storage, std::uint64_t pointer, std::byte* to, std::size_t bytes, std::uint32_t lane) {
    if (storage == StorageClass::Workgroup) {
      toucher.lane = lane;
      shared_.read(pointer, to, bytes, toucher);
    } else {
      std::memcpy(to, outside(storage, pointer, bytes, "read"), bytes);
    }
  }
  void write(StorageClass storage, std::uint64_t pointer, const std::byte* from, std::size_t bytes, std::uint32_t lane) {
    if (storage == StorageClass::Workgroup) {
      toucher.lane = lane;
      shared_.write(pointer, from, bytes, toucher);
    } else {
      if (storage == StorageClass::PushConstant) fault("a store to push constants");
      std::byte* const to = outside(storage, pointer, bytes, "write");
      // A matrix is that of its subgroup's first invocation.
      const std::uint32_t first = toucher.subgroup * r_.program.subgroup();
      put(to, from, bytes, {workgroup, lane == Toucher::whole ? first : first + lane});
    }
  }
  void put(std::byte* to, const std::byte* from, std::size_t bytes, const BufferWrites::By& by) const {
    if (arguments_.writes != nullptr) arguments_.writes->write(to, from, bytes, by);
    else std::memcpy(to, from, bytes);
  }
  std::byte* outside(StorageClass storage, std::uint64_t pointer, std::size_t bytes, const char* what) const {
    Bytes place;
    std::uint64_t offset = pointer & offset_mask;
    std::string where;
    if (storage == StorageClass::PushConstant) {
      place = arguments_.push_constants, where = "push constants";
    } else if (storage == StorageClass::StorageBuffer) {
      const std::uint64_t binding = pointer >> 48;
      if (binding < arguments_.bindings.size()) place = arguments_.bindings[binding];
      where = "binding " + std::to_string(binding);
    } else {
      if (arguments_.allocation) place = arguments_.allocation(pointer);
      offset = pointer - reinterpret_cast<std::uintptr_t>(place.begin);
      where = "memory at an address";
    }
    if (offset > place.size || bytes > place.size - offset)
      fault(std::string("a ") + what + " of " + std::to_string(bytes) + " bytes from byte " + std::to_string(static_cast<std::int64_t>(offset << 16) >> 16) +
          " of " + where + ", which has " + std::to_string(place.size));
    return place.begin + offset;
  }
  // What the memory operands, from number `first` on, promise or must promise.
  void check_operands(const Instruction& one, const Type& pointer, std::size_t first, bool stores) {
    namespace access = vulkan::spirv::memory_access;
    const std::uint32_t mask = one.operands.size() > first ? one.operands[first] : 0;
    if (pointer.storage == StorageClass::Workgroup && r_.program.vulkan_memory_model) {
      const std::uint32_t needed = access::NonPrivatePointer | (stores ? access::MakePointerAvailable : access::MakePointerVisible);
      if ((mask & needed) != needed) fault("an access to workgroup memory that the Vulkan memory model does not show to other invocations");
    }
    if ((mask & access::Aligned) == 0) return;
    const std::uint32_t alignment = one.operands[first + 1];
    const std::uint64_t* const at = r_.at(one.operands[0]);
    r_.each_lane([&](std::uint32_t l) {
      std::uint64_t address = at[l];
      if (pointer.storage == StorageClass::StorageBuffer && (at[l] >> 48) < arguments_.bindings.size())
        address = reinterpret_cast<std::uintptr_t>(arguments_.bindings[at[l] >> 48].begin) + (at[l] & offset_mask);
      if (address % alignment != 0) fault("an address that is no multiple of " + std::to_string(alignment) + " bytes, as it is said to be");
    });
  }

  Registers& r_;
  WorkgroupMemory& shared_;
  const Arguments& arguments_;
};

// a b + c: products and sums in double (integers in 64 bits) and rounded once, which is no less exact than any device.
inline void multiply_add(Registers& r, const Accesses& accesses, const Program::Instruction& one) {
  if (r.active != r.full) fault("a product of cooperative matrices is not reached by the whole subgroup");
  const auto& x = one.operands;
  const Type &a = r.type_of(x[0]), &b = r.type_of(x[1]), &c = r.type_of(x[2]);
  if (a.columns != b.rows || a.rows != c.rows || b.columns != c.columns) fault("a product of cooperative matrices of other shapes");
  const std::uint32_t signs = x.size() > 3 ? x[3] : 0;
  const auto values = [&](std::uint32_t id, const Type& type, bool is_signed, auto zero) {
    using T = decltype(zero);
    std::vector<T> all(std::size_t{type.rows} * type.columns);
    const std::uint64_t* const from = r.at(id);
    const auto fill = [&](auto as) {
      for (std::uint32_t i = 0; i < type.rows; ++i)
        for (std::uint32_t j = 0; j < type.columns; ++j) all[i * type.columns + j] = static_cast<T>(decltype(as)::value(from[accesses.element(type, i, j)]));
    };
    if constexpr (std::is_same_v<T, double>) with_float(*type.component, fill);
    else with_integer(*type.component, is_signed, fill);
    return all;
  };
  const auto multiply = [&](auto zero, auto as) {
    const auto left = values(x[0], a, (signs & 1) != 0, zero), right = values(x[1], b, (signs & 2) != 0, zero);
    auto sums = values(x[2], c, (signs & 4) != 0, zero);
    for (std::uint32_t i = 0; i < a.rows; ++i)
      for (std::uint32_t k = 0; k < a.columns; ++k)
        for (std::uint32_t j = 0; j < b.columns; ++j) sums[i * c.columns + j] += left[i * a.columns + k] * right[k * b.columns + j];
    std::uint64_t* const to = r.at(one.result);
    for (std::uint32_t i = 0; i < c.rows; ++i)
      for (std::uint32_t j = 0; j < c.columns; ++j)
        to[accesses.element(c, i, j)] = decltype(as)::bits(static_cast<typename decltype(as)::Value>(sums[i * c.columns + j]));
  };
  if (c.component->kind == Kind::integer) with_integer(*c.component, (signs & 8) != 0, [&](auto as) { multiply(std::int64_t{}, as); });
  else with_float(*c.component, [&](auto as) { multiply(double{}, as); });
}

}  // namespace cotenant::test::interpreter

#endif
