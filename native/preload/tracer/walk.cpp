#include "walk.hpp"

#include "codes.hpp"
#include "spool.hpp"
#include "strings.hpp"

namespace gil_tracer {

namespace {

/// The module that such a frame of importlib imports: its first argument.
std::uint32_t read_module(Header* header, const Python& python, _frame* frame) {
    const ErrorKept kept(python);
    if (python.frame_variable != nullptr) {
        return intern_object(header, python, python.frame_variable(frame, "name"));
    }
    _object* locals = python.frame_locals(frame);
    if (locals == nullptr) {
        return 0;
    }
    const auto row = intern_object(header, python, python.item(locals, "name"));
    python.decrement(locals);
    return row;
}

} // namespace

int walk(Header* header, const Python& python, Frame* frames) {
    int count = 0;
    // The body of the module that is being imported, as long as only importlib's frames follow: then the next frame
    // with a module has this one, and its argument need not be read.
    std::uint32_t body = 0;
    for (_frame* frame = python.top_frame(python.thread_state()); frame != nullptr;) {
        _object* object = python.frame_code(frame);
        const auto code = count < 0 ? 0 : intern_code(header, python, object, frame);
        if (code == 0) {
            count = -1;
        } else if (count < deepest) {
            const auto& known = known_code(code);
            std::uint32_t module = 0;
            if (known.role == Role::about_module) {
                module = body != 0 ? body : read_module(header, python, frame);
            }
            if (known.role != Role::importlib) {
                body = known.role == Role::body ? rows<Code>(header, header->codes)[code].module : 0;
            }
            frames[count++] = Frame{code, python.frame_offset(frame), module, known.object};
        }
        python.decrement(object);
        _frame* back = python.frame_back(frame);
        python.decrement(reinterpret_cast<_object*>(frame));
        frame = back;
    }
    return count;
}

int walk_by_table(Header* header, const Python& python, Frame* frames) {
    const auto& table = python.table;
    int count = 0;
    for (auto frame = table.first(python.thread_state()); frame != nullptr && count < deepest;
         frame = table.back(frame)) {
        _object* object = table.code(frame);
        const auto code = intern_code_by_table(header, python, object);
        if (code == 0) {
            return -1;
        }
        const bool about = known_code(code).role == Role::about_module;
        const auto module = about ? intern_text(header, python, table.first_argument(frame)) : 0;
        frames[count++] = Frame{code, table.offset(frame), module, object};
    }
    auto module = intern_string(header, "__main__");
    for (int i = count - 1; i >= 0; --i) {
        if (known_code(frames[i].code).role == Role::body) {
            rows<Code>(header, header->codes)[frames[i].code].module = module;
        }
        module = frames[i].module != 0 ? frames[i].module : module;
    }
    return count;
}

} // namespace gil_tracer
